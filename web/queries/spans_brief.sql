-- What some spans are. {traces}, {spans}: their ids, a superset of the pairs wanted. Narrow.
SELECT trace_id, span_id, name, kind, service, clock, started_at
FROM steps FINAL
WHERE trace_id IN {traces:Array(String)} AND span_id IN {spans:Array(String)}
