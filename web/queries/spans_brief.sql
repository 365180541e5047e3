-- What some spans are. {traces}, {spans}: their ids, a superset of the pairs wanted. Narrow.
SELECT trace_id, span_id, parent_id, name, kind, service, agent, tool, status, clock, started_at,
    toUnixTimestamp64Nano(started_at) AS start_ns, toUnixTimestamp64Nano(ended_at) AS end_ns
FROM steps FINAL
WHERE trace_id IN {traces:Array(String)} AND span_id IN {spans:Array(String)}
