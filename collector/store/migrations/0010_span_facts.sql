-- What log records say about their span beyond what the span says itself: one row a record that says such a thing.
-- Joined when runs are analysed, as records come before or after their span. Read with FINAL.
CREATE TABLE IF NOT EXISTS span_facts
(
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    logged_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    record_hash UInt64,
    error_type LowCardinality(String),
    error_message String CODEC(ZSTD(1)),
    finish_reasons Array(String) CODEC(ZSTD(1)),
    tokens_input Nullable(Int64),
    tokens_output Nullable(Int64),
    args_digest String CODEC(ZSTD(1)),
    args_state LowCardinality(String),
    result_digest String CODEC(ZSTD(1)),
    result_empty Nullable(Bool),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX logged_minmax logged_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(logged_at)
ORDER BY (trace_id, span_id, logged_at, record_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000
