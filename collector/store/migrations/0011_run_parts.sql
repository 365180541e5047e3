-- What a trace contributes to each run that its spans name ('' = they name none), rolled up while spans come in: what
-- lists and the analysis loop ask without touching `steps`. A row is merged from partial ones when parts are, so read
-- with GROUP BY trace_id, run_id and the function of the column. Every function here gives the same for a span that was
-- delivered twice, or first as a pending copy.
CREATE TABLE IF NOT EXISTS run_parts
(
    trace_id String CODEC(ZSTD(1)),
    run_id String CODEC(ZSTD(1)),
    last_span_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(Delta, ZSTD(1)),  -- when it came in
    started_at SimpleAggregateFunction(min, DateTime64(9, 'UTC')) CODEC(Delta, ZSTD(1)),
    ended_at SimpleAggregateFunction(max, DateTime64(9, 'UTC')) CODEC(Delta, ZSTD(1)),
    parents SimpleAggregateFunction(groupUniqArrayArray, Array(String)) CODEC(ZSTD(1)),     -- run_parent_id of spans
    conversation_id SimpleAggregateFunction(max, String) CODEC(ZSTD(1)),
    workflow SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    service SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    -- Of the span that stands for the whole: the run, else the topmost; its final copy, if there is one.
    name AggregateFunction(argMax, LowCardinality(String), Int128) CODEC(ZSTD(1)),
    status AggregateFunction(argMax, LowCardinality(String), Int128) CODEC(ZSTD(1)),        -- open unset ok error
    outcome SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),            -- as a run span claims
    agents SimpleAggregateFunction(groupUniqArrayArray, Array(String)) CODEC(ZSTD(1)),
    spans AggregateFunction(uniqCombined(12), UInt64) CODEC(ZSTD(1)),
    errors AggregateFunction(uniqCombined(12), UInt64) CODEC(ZSTD(1)),
    links SimpleAggregateFunction(groupUniqArrayArray, Array(String)) CODEC(ZSTD(1)),       -- traces they link to
    messages SimpleAggregateFunction(groupUniqArrayArray, Array(UInt64)) CODEC(ZSTD(1)),    -- hashes, see the view
    INDEX last_minmax last_span_at TYPE minmax GRANULARITY 1,
    INDEX run_bloom run_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = AggregatingMergeTree
ORDER BY (trace_id, run_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000
