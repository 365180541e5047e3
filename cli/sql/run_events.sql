-- What happened during the spans of some traces, in order of time: their events and log records, each value cut after
-- {cut} characters. `log`: '' for an event, else the record's severity. {traces}: trace ids. {most}: rows.
SELECT * FROM
(
    SELECT
        TraceId AS trace_id, SpanId AS span_id, toUnixTimestamp64Nano(at) AS at_ns, '' AS log, name, '' AS body, attributes
    FROM
    (
        SELECT TraceId, SpanId, `Events.Timestamp` AS times, `Events.Name` AS names, `Events.Attributes` AS said
        FROM otel_traces FINAL
        WHERE TraceId IN {traces:Array(String)} AND notEmpty(`Events.Name`)
    )
    ARRAY JOIN
        times AS at, names AS name,
        arrayMap(one -> mapApply((k, v) -> (k, substringUTF8(v, 1, {cut:UInt32})), one), said) AS attributes
    UNION ALL
    SELECT
        TraceId, SpanId, toUnixTimestamp64Nano(Timestamp), if(SeverityText = '', 'log', SeverityText), EventName,
        substringUTF8(Body, 1, {cut:UInt32}), mapApply((k, v) -> (k, substringUTF8(v, 1, {cut:UInt32})), LogAttributes)
    FROM otel_logs FINAL
    WHERE TraceId IN {traces:Array(String)} AND SpanId != ''
)
ORDER BY trace_id, span_id, at_ns, log, name, body
LIMIT {most:UInt32}
