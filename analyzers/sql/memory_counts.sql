-- Memory operations by trace, and by span (`lone`) in traces that name several runs.
SELECT
    trace_id,
    if(trace_id IN (SELECT trace_id FROM $steps WHERE run_id != '' GROUP BY trace_id HAVING uniqExact(run_id) > 1),
        span_id, '') AS lone,
    count() AS memory_ops
FROM $memory_ops
GROUP BY trace_id, lone
