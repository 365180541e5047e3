-- Traces that got spans since {after}, with the moment of the last one. Not narrowed by span time: late spans count.
SELECT trace_id, max(ingested_at) AS last_span_at
FROM steps
WHERE ingested_at > {after:DateTime64(3, 'UTC')}
GROUP BY trace_id
