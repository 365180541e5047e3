-- Where decoded requests enter; keeps nothing, feeds the views. One row an ExportTraceServiceRequest.
-- $attributes: the type of a list of OTLP attributes (see decoding.py).
CREATE TABLE otlp_inbox
(
    resource_spans Array(Tuple(
        resource Tuple(attributes $attributes, dropped_attributes_count UInt32),
        scope_spans Array(Tuple(
            scope Tuple(name String, version String, attributes $attributes),
            spans Array(Tuple(
                trace_id String,
                span_id String,
                trace_state String,
                parent_span_id String,
                name String,
                kind Int32,
                start_time_unix_nano UInt64,
                end_time_unix_nano UInt64,
                attributes $attributes,
                dropped_attributes_count UInt32,
                events Array(Tuple(time_unix_nano UInt64, name String, attributes $attributes)),
                dropped_events_count UInt32,
                links Array(Tuple(trace_id String, span_id String, trace_state String, attributes $attributes)),
                dropped_links_count UInt32,
                status Tuple(message String, code Int32),
                flags UInt32
            ))
        ))
    ))
)
ENGINE = Null
