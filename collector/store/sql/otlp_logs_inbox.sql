-- Where decoded requests for logs enter; keeps nothing, feeds the view. One row an ExportLogsServiceRequest.
-- $attributes: the type of a list of OTLP attributes, $value: that of one value (see decoding.py).
CREATE TABLE otlp_logs_inbox
(
    resource_logs Array(Tuple(
        resource Tuple(attributes $attributes, dropped_attributes_count UInt32),
        scope_logs Array(Tuple(
            scope Tuple(name String, version String, attributes $attributes),
            log_records Array(Tuple(
                time_unix_nano UInt64,
                observed_time_unix_nano UInt64,
                severity_number Int32,
                severity_text String,
                body $value,
                attributes $attributes,
                dropped_attributes_count UInt32,
                flags UInt32,
                trace_id String,
                span_id String,
                event_name String
            )),
            schema_url String
        )),
        schema_url String
    ))
)
ENGINE = Null
