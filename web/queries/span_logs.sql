-- The log records that were made during one span, in order, each value cut after {cut} characters. {most}: rows.
SELECT
    toUnixTimestamp64Nano(Timestamp) AS at, SeverityText AS severity, EventName AS name,
    substringUTF8(Body, 1, {cut:UInt32}) AS body,
    mapApply((k, v) -> (k, substringUTF8(v, 1, {cut:UInt32})), LogAttributes) AS attributes
FROM otel_logs FINAL
WHERE TraceId = {trace:String} AND SpanId = {span:String}
ORDER BY Timestamp, RecordHash
LIMIT {most:UInt32}
