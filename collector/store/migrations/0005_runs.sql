-- One row an analysed run: what lists and rates need without touching its spans. Read with FINAL.
CREATE TABLE IF NOT EXISTS runs
(
    run_id String CODEC(ZSTD(1)),
    parent_id String,
    conversation_id String,
    workflow LowCardinality(String),
    service LowCardinality(String),
    service_version LowCardinality(String),
    variant LowCardinality(String),
    outcome LowCardinality(String),                  -- as the program claims: complete partial failed cancelled ''
    status LowCardinality(String),                   -- ok error open
    clock LowCardinality(String),
    started_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    ended_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    traces UInt32,
    spans UInt32,
    agents Array(LowCardinality(String)),
    tools UInt32,
    effects UInt32,
    memory_ops UInt32,
    retries UInt32,
    errors UInt32,
    tokens_input UInt64,
    tokens_output UInt64,
    findings_error UInt32,
    findings_warning UInt32,
    findings_info UInt32,
    incomplete Array(String),                        -- why the recording of this run is not whole; empty = whole
    last_span_at DateTime64(3, 'UTC'),
    analysed_at DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX started_minmax started_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(analysed_at)
ORDER BY run_id
