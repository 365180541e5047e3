-- Stored spans as OTLP requests again, one a resource, scope and trace: for FORMAT Protobuf with otlp.proto.
-- Attribute values are text, as they are stored. {traces}: trace ids.
SELECT
    CAST([tuple(
        tuple(arrayMap((k, v) -> (k, tuple(v)), mapKeys(resource_map), mapValues(resource_map))),
        [tuple(tuple(scope_name, scope_version), spans)]
    )], 'Array(Tuple(resource Tuple(attributes $attributes), scope_spans Array(Tuple(
        scope Tuple(name String, version String),
        spans Array(Tuple(
            trace_id String, span_id String, trace_state String, parent_span_id String, name String, kind Int32,
            start_time_unix_nano UInt64, end_time_unix_nano UInt64, attributes $attributes,
            dropped_attributes_count UInt32,
            events Array(Tuple(time_unix_nano UInt64, name String, attributes $attributes)), dropped_events_count UInt32,
            links Array(Tuple(trace_id String, span_id String, trace_state String, attributes $attributes)),
            dropped_links_count UInt32, status Tuple(message String, code Int32), flags UInt32))))))') AS resource_spans
FROM
(
    SELECT
        any(ResourceAttributes) AS resource_map,
        ScopeName AS scope_name,
        ScopeVersion AS scope_version,
        groupArray(tuple(
            unhex(TraceId), unhex(SpanId), TraceState, unhex(ParentSpanId), toString(SpanName),
            indexOf(['Internal', 'Server', 'Client', 'Producer', 'Consumer'], SpanKind),
            toUInt64(toUnixTimestamp64Nano(Timestamp)), toUInt64(toUnixTimestamp64Nano(Timestamp)) + Duration,
            arrayMap((k, v) -> (toString(k), tuple(v)), mapKeys(SpanAttributes), mapValues(SpanAttributes)),
            DroppedAttributes,
            arrayMap((t, n, m) -> (toUInt64(toUnixTimestamp64Nano(t)), toString(n),
                arrayMap((k, v) -> (toString(k), tuple(v)), mapKeys(m), mapValues(m))),
                `Events.Timestamp`, `Events.Name`, `Events.Attributes`),
            DroppedEvents,
            arrayMap((t, s, w, m) -> (unhex(t), unhex(s), w,
                arrayMap((k, v) -> (toString(k), tuple(v)), mapKeys(m), mapValues(m))),
                `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`),
            DroppedLinks, tuple(StatusMessage, indexOf(['Ok', 'Error'], StatusCode)), Flags)) AS spans
    FROM (SELECT * FROM otel_traces FINAL
          WHERE TraceId IN (SELECT arrayJoin({traces:Array(String)})) ORDER BY TraceId, Timestamp)
    GROUP BY TraceId, toString(ResourceAttributes), ScopeName, ScopeVersion
    ORDER BY TraceId
)
