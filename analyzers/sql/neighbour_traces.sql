-- Traces that share with {traces} what a finding over runs may rest on: an idempotency key, a compensated call, a record
-- of a memory store, a destination. The newest {most} of each kind, so that a busy key costs no more than that.
WITH near AS (SELECT * FROM steps WHERE trace_id IN (SELECT arrayJoin({traces:Array(String)})))
SELECT trace_id FROM steps
WHERE effect_key != '' AND effect_key IN (SELECT effect_key FROM near)
GROUP BY trace_id ORDER BY max(started_at) DESC LIMIT {most:UInt32}
UNION DISTINCT
SELECT trace_id FROM steps
WHERE (call_id != '' AND call_id IN (SELECT effect_compensates FROM near))
    OR (effect_compensates != '' AND effect_compensates IN (SELECT call_id FROM near))
GROUP BY trace_id ORDER BY max(started_at) DESC LIMIT {most:UInt32}
UNION DISTINCT
SELECT trace_id FROM memory_ops
WHERE (store, key) IN (SELECT store, key FROM memory_ops WHERE trace_id IN (SELECT arrayJoin({traces:Array(String)})))
GROUP BY trace_id ORDER BY max(started_at) DESC LIMIT {most:UInt32}
UNION DISTINCT
SELECT trace_id FROM steps
WHERE destination != '' AND destination IN (SELECT destination FROM near WHERE kind = 'send')
GROUP BY trace_id ORDER BY max(started_at) DESC LIMIT {most:UInt32}
