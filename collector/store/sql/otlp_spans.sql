-- otlp_inbox -> otel_traces: one row a span, attributes as text the way the OpenTelemetry ClickHouse exporter writes
-- them. $map(x): a list of OTLP attributes as Map(String, String) (see decoding.py).
CREATE MATERIALIZED VIEW otlp_spans TO otel_traces AS
SELECT
    fromUnixTimestamp64Nano(toInt64(least(span.start_time_unix_nano, 9223372036854775807)), 'UTC') AS Timestamp,
    lower(hex(span.trace_id)) AS TraceId,
    lower(hex(span.span_id)) AS SpanId,
    if(match(span.parent_span_id, '^\\x00*$$'), '', lower(hex(span.parent_span_id))) AS ParentSpanId,
    span.trace_state AS TraceState,
    span.name AS SpanName,
    transform(span.kind, [1, 2, 3, 4, 5], ['Internal', 'Server', 'Client', 'Producer', 'Consumer'], 'Unspecified')
        AS SpanKind,
    ResourceAttributes['service.name'] AS ServiceName,
    resource_map AS ResourceAttributes,
    scope_name AS ScopeName,
    scope_version AS ScopeVersion,
    $map(span.attributes) AS SpanAttributes,
    if(span.end_time_unix_nano > span.start_time_unix_nano, span.end_time_unix_nano - span.start_time_unix_nano, 0)
        AS Duration,
    transform(span.status.code, [1, 2], ['Ok', 'Error'], 'Unset') AS StatusCode,
    span.status.message AS StatusMessage,
    arrayMap(e -> fromUnixTimestamp64Nano(toInt64(least(e.time_unix_nano, 9223372036854775807)), 'UTC'), span.events)
        AS `Events.Timestamp`,
    span.events.name AS `Events.Name`,
    arrayMap(e -> $map(e.attributes), span.events) AS `Events.Attributes`,
    arrayMap(l -> lower(hex(l.trace_id)), span.links) AS `Links.TraceId`,
    arrayMap(l -> lower(hex(l.span_id)), span.links) AS `Links.SpanId`,
    span.links.trace_state AS `Links.TraceState`,
    arrayMap(l -> $map(l.attributes), span.links) AS `Links.Attributes`,
    span.flags AS Flags,
    span.dropped_attributes_count AS DroppedAttributes,
    span.dropped_events_count AS DroppedEvents,
    span.dropped_links_count AS DroppedLinks
FROM
(
    SELECT
        resource_map,
        scoped.scope.name AS scope_name,
        scoped.scope.version AS scope_version,
        arrayJoin(scoped.spans) AS span
    FROM
    (
        SELECT
            $map(grouped.resource.attributes) AS resource_map,
            arrayJoin(grouped.scope_spans) AS scoped
        FROM (SELECT arrayJoin(resource_spans) AS grouped FROM otlp_inbox)
    )
)
WHERE length(span.trace_id) = 16 AND length(span.span_id) = 8
