-- otlp_logs_inbox -> otel_logs: one row a log record, values as text the way the OpenTelemetry ClickHouse exporter writes
-- them. A record that does not say when it was made has the time at which it was seen.
-- $map(x): a list of OTLP attributes as Map(String, String); $text(x): one value as text (see decoding.py).
CREATE MATERIALIZED VIEW otlp_logs TO otel_logs AS
SELECT
    fromUnixTimestamp64Nano(toInt64(least(
        if(record.time_unix_nano > 0, record.time_unix_nano, record.observed_time_unix_nano), 9223372036854775807)), 'UTC')
        AS Timestamp,
    lower(hex(record.trace_id)) AS TraceId,
    lower(hex(record.span_id)) AS SpanId,
    bitAnd(record.flags, 255) AS TraceFlags,
    record.severity_text AS SeverityText,
    greatest(0, least(record.severity_number, 255)) AS SeverityNumber,
    ResourceAttributes['service.name'] AS ServiceName,
    $text(record.body) AS Body,
    resource_schema_url AS ResourceSchemaUrl,
    resource_map AS ResourceAttributes,
    scope_schema_url AS ScopeSchemaUrl,
    scope_name AS ScopeName,
    scope_version AS ScopeVersion,
    scope_map AS ScopeAttributes,
    $map(record.attributes) AS LogAttributes,
    record.event_name AS EventName,
    record.dropped_attributes_count AS DroppedAttributes
FROM
(
    SELECT
        resource_map,
        resource_schema_url,
        scoped.scope.name AS scope_name,
        scoped.scope.version AS scope_version,
        scoped.schema_url AS scope_schema_url,
        $map(scoped.scope.attributes) AS scope_map,
        arrayJoin(scoped.log_records) AS record
    FROM
    (
        SELECT
            $map(grouped.resource.attributes) AS resource_map,
            grouped.schema_url AS resource_schema_url,
            arrayJoin(grouped.scope_logs) AS scoped
        FROM (SELECT arrayJoin(resource_logs) AS grouped FROM otlp_logs_inbox)
    )
)
