-- What could not be judged, by run ('' = the whole record) and detector, with the reason. Read with FINAL.
CREATE TABLE IF NOT EXISTS not_checked
(
    run_id String CODEC(ZSTD(1)),
    detector LowCardinality(String),
    reason String CODEC(ZSTD(1)),
    retracted Bool,
    analysed_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(analysed_at)
ORDER BY (run_id, detector, reason)
