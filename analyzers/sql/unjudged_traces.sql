-- Traces with spans that came after their run was last judged, or that was never judged, with the last one's moment.
SELECT came.trace_id AS trace_id, came.last_span_at AS last_span_at
FROM (SELECT trace_id, max(last_span_at) AS last_span_at FROM run_parts GROUP BY trace_id SETTINGS prefer_column_name_to_alias = 1) AS came
LEFT JOIN
(
    SELECT placed.trace_id AS trace_id, max(judged.last_span_at) AS last_span_at
    FROM (SELECT trace_id, run_id FROM run_traces FINAL) AS placed
    INNER JOIN (SELECT run_id, last_span_at FROM runs FINAL) AS judged ON judged.run_id = placed.run_id
    GROUP BY placed.trace_id
) AS known ON known.trace_id = came.trace_id
WHERE known.last_span_at < came.last_span_at
