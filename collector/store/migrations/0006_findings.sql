-- One row a finding of one run. Read with FINAL and `NOT retracted`. `body` is the finding as `check` prints it, with
-- its evidence; the columns are what lists and rates filter on.
CREATE TABLE IF NOT EXISTS findings
(
    run_id String CODEC(ZSTD(1)),
    fingerprint String CODEC(ZSTD(1)),               -- the same defect in another run has the same one
    occurrence String CODEC(ZSTD(1)),                -- the finding inside its run
    detector LowCardinality(String),
    anomaly LowCardinality(String),
    grade LowCardinality(String),
    severity LowCardinality(String),
    workflow LowCardinality(String),
    service_version LowCardinality(String),
    subject String CODEC(ZSTD(1)),
    title String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    occurred_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    body String CODEC(ZSTD(3)),
    retracted Bool,
    analysed_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(analysed_at)
ORDER BY (run_id, fingerprint, occurrence)
