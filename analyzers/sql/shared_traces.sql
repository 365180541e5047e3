-- The spans of traces that name several runs, as a tree. Expected: few traces; all their spans.
SELECT trace_id, span_id, parent_id, run_id
FROM $steps
WHERE trace_id IN (SELECT trace_id FROM $steps WHERE run_id != '' GROUP BY trace_id HAVING uniqExact(run_id) > 1)
