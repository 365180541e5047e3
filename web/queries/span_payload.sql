-- What one span carries, each value cut after {cut} characters. {trace}, {span}: its key. Expected: one row.
SELECT
    SpanName AS name, SpanKind AS kind, ServiceName AS service, ScopeName AS scope, ScopeVersion AS scope_version,
    StatusCode AS status, substringUTF8(StatusMessage, 1, {cut:UInt32}) AS status_message,
    mapApply((k, v) -> (k, substringUTF8(v, 1, {cut:UInt32})), SpanAttributes) AS attributes,
    mapApply((k, v) -> (k, length(v)), mapFilter((k, v) -> length(v) > {cut:UInt32}, SpanAttributes)) AS cut_lengths,
    ResourceAttributes AS resource,
    arrayMap(t -> toUnixTimestamp64Nano(t), `Events.Timestamp`) AS event_times,
    `Events.Name` AS event_names,
    arrayMap(m -> mapApply((k, v) -> (k, substringUTF8(v, 1, {cut:UInt32})), m), `Events.Attributes`) AS event_attributes,
    `Links.TraceId` AS link_traces, `Links.SpanId` AS link_spans,
    DroppedAttributes AS dropped_attributes, DroppedEvents AS dropped_events, DroppedLinks AS dropped_links
FROM otel_traces FINAL
WHERE TraceId = {trace:String} AND SpanId = {span:String}
