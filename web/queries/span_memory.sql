-- What one span did to memory. {trace}, {span}: its key.
SELECT op, store, key, version, version_kind, parents, blind, ordinal, digest, status, epoch
FROM memory_ops FINAL
WHERE trace_id = {trace:String} AND span_id = {span:String}
ORDER BY position
