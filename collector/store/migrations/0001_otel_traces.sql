-- Spans with their payloads, column for column the OpenTelemetry ClickHouse exporter's own table, so that the
-- exporter can write it directly. Behind its columns stand ours, all with defaults.
-- Sorted by trace: what reads payloads reads one trace. Time-range work goes to `steps`.
-- Synced after each insert, as the write-ahead log forgets a batch then (the tables behind this one likewise). What an
-- insert writes is one file for all columns: to sync one for each takes longer. Merges make larger parts, with columns apart.
CREATE TABLE IF NOT EXISTS otel_traces
(
    Timestamp DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(3)),
    Duration UInt64 CODEC(T64, ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested
    (
        Timestamp DateTime64(9, 'UTC'),
        Name LowCardinality(String),
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links Nested
    (
        TraceId String,
        SpanId String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Flags UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    DroppedAttributes UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    DroppedEvents UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    DroppedLinks UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    -- A pending copy (exported when a long span starts) gives way to the final span; of two deliveries the richer stays.
    RowVersion UInt32 DEFAULT if(SpanAttributes['driftline.pending'] = 'true', 0, 1 + length(SpanAttributes))
        CODEC(ZSTD(1)),
    IngestedAt DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX timestamp_minmax Timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(RowVersion)
PARTITION BY toYYYYMM(Timestamp)
ORDER BY (TraceId, SpanId)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000,
    min_bytes_for_wide_part = 67108864, index_granularity = 8192
