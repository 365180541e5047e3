-- The memory operations of chosen traces. {wanted}: trace ids; empty = all in scope.
SELECT
    trace_id, span_id, position, op, store, key, version, version_kind, parents, blind, ordinal, digest,
    status AS write_status, epoch, watermark
FROM $memory_ops
WHERE empty({wanted:Array(String)}) OR trace_id IN (SELECT arrayJoin({wanted:Array(String)}))
ORDER BY trace_id, span_id, position
