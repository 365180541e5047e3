-- What the spans of some traces did to memory. {traces}: trace ids. One row a span; 'notes/plan@v2' a reference.
SELECT
    trace_id, span_id,
    arrayStringConcat(arrayMap(x -> x.2, arraySort(x -> x.1, groupArray((position, concat(
        store, if(store = '', '', '/'), key, if(version = '', '', '@'), version))))), ', ') AS touched,
    max(status) AS write_status
FROM memory_ops FINAL
WHERE trace_id IN {traces:Array(String)}
GROUP BY trace_id, span_id
