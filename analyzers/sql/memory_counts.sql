-- Memory operations by trace.
SELECT trace_id, count() AS memory_ops FROM $memory_ops GROUP BY trace_id
