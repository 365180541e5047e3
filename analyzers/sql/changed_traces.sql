-- Traces that got spans since {after}, or log records that tell of spans, with the moment of the last one. Not narrowed
-- by span time: late spans count.
SELECT trace_id, max(ingested_at) AS last_span_at
FROM
(
    SELECT trace_id, last_span_at AS ingested_at FROM run_parts WHERE last_span_at > {after:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT trace_id, ingested_at FROM span_facts WHERE ingested_at > {after:DateTime64(3, 'UTC')}
)
GROUP BY trace_id
