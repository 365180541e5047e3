-- Which run a trace belongs to, resolved at analysis: runs are joined over links and messages. Read with FINAL.
-- A trace that holds several runs has a row for each; a span that names its run itself always overrides this table.
CREATE TABLE IF NOT EXISTS run_traces
(
    trace_id String CODEC(ZSTD(1)),
    run_id String CODEC(ZSTD(1)),
    resolved_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(resolved_at)
ORDER BY (trace_id, run_id)
