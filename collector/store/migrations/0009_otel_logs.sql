-- Log records, column for column the OpenTelemetry ClickHouse exporter's own table, so that the exporter can write it
-- directly; behind its columns stand ours. Sorted by trace: what is asked for are the records of a span.
-- A record has no id. Delivered twice it is the same in every column, so that RecordHash makes it one row.
CREATE TABLE IF NOT EXISTS otel_logs
(
    Timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    TimestampTime DateTime DEFAULT toDateTime(Timestamp),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8,
    SeverityText LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName LowCardinality(String) CODEC(ZSTD(1)),
    DroppedAttributes UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    RecordHash UInt64 DEFAULT sipHash64(ServiceName, SeverityNumber, SeverityText, EventName, Body,
        mapKeys(LogAttributes), mapValues(LogAttributes), TraceFlags, DroppedAttributes, ScopeName, ScopeVersion,
        mapKeys(ScopeAttributes), mapValues(ScopeAttributes), mapKeys(ResourceAttributes),
        mapValues(ResourceAttributes)) CODEC(ZSTD(1)),
    IngestedAt DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX timestamp_minmax Timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(Timestamp)
PRIMARY KEY (TraceId, SpanId, Timestamp)
ORDER BY (TraceId, SpanId, Timestamp, RecordHash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000
