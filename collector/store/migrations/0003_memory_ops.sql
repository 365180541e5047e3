-- One row a read, write or delete of one key by one span. Read with FINAL.
CREATE TABLE IF NOT EXISTS memory_ops
(
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    position UInt16 CODEC(ZSTD(1)),                  -- place of the key in the span's list
    op LowCardinality(String) CODEC(ZSTD(1)),        -- read search write delete
    store LowCardinality(String) CODEC(ZSTD(1)),
    key String CODEC(ZSTD(1)),
    version String CODEC(ZSTD(1)),                   -- '' = unversioned, 'init' = read before any write
    version_kind LowCardinality(String) CODEC(ZSTD(1)),  -- native digest time none
    parents Array(String) CODEC(ZSTD(1)),
    blind Bool CODEC(ZSTD(1)),                       -- a write or delete that does not say what it was derived from
    ordinal Nullable(Int64) CODEC(ZSTD(1)),
    digest String CODEC(ZSTD(1)),
    status LowCardinality(String) CODEC(ZSTD(1)),    -- committed rolled_back unknown; '' on reads
    epoch Nullable(Int64) CODEC(ZSTD(1)),
    watermark String CODEC(ZSTD(1)),
    started_at DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    row_version UInt32 CODEC(ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX started_minmax started_at TYPE minmax GRANULARITY 1,
    INDEX key_bloom (store, key) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
PARTITION BY toYYYYMM(started_at)
ORDER BY (trace_id, span_id, position)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000,
    min_bytes_for_wide_part = 67108864
