-- One row a meaningful span, in canonical terms, whatever instrumentation wrote it. Narrow: no payloads.
-- '' means "not said" in text columns, NULL in numbers where 0 is a value. Read with FINAL: one row a (trace, span).
CREATE TABLE IF NOT EXISTS steps
(
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_id String CODEC(ZSTD(1)),
    run_id String CODEC(ZSTD(1)),                    -- the run this span itself names; see run_traces for the rest
    run_parent_id String CODEC(ZSTD(1)),
    conversation_id String CODEC(ZSTD(1)),
    workflow LowCardinality(String) CODEC(ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    service_version LowCardinality(String) CODEC(ZSTD(1)),
    instance String CODEC(ZSTD(1)),                  -- service.instance.id: the scope of seq
    host LowCardinality(String) CODEC(ZSTD(1)),
    clock LowCardinality(String) CODEC(ZSTD(1)),     -- 'synthetic' when the timestamps were made up
    scope LowCardinality(String) CODEC(ZSTD(1)),
    dialect LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),      -- run agent step tool llm memory retrieval validation send process other
    operation LowCardinality(String) CODEC(ZSTD(1)), -- gen_ai.operation.name as it came
    span_kind LowCardinality(String) CODEC(ZSTD(1)),
    started_at DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    ended_at DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    status LowCardinality(String) CODEC(ZSTD(1)),    -- unset ok error
    status_message String CODEC(ZSTD(1)),
    error_type LowCardinality(String) CODEC(ZSTD(1)),
    agent LowCardinality(String) CODEC(ZSTD(1)),     -- as named on this span
    agent_instance String CODEC(ZSTD(1)),
    variant LowCardinality(String) CODEC(ZSTD(1)),
    step_name LowCardinality(String) CODEC(ZSTD(1)),
    seq Nullable(Int64) CODEC(T64, ZSTD(1)),
    seq_end Nullable(Int64) CODEC(T64, ZSTD(1)),
    uow String CODEC(ZSTD(1)),
    uow_atomic Bool CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    expects Array(String) CODEC(ZSTD(1)),
    tool LowCardinality(String) CODEC(ZSTD(1)),
    tool_call_id String CODEC(ZSTD(1)),
    call_id String CODEC(ZSTD(1)),
    args_digest String CODEC(ZSTD(1)),               -- '' when the arguments are not known whole; see args_state
    args_state LowCardinality(String) CODEC(ZSTD(1)),  -- known missing truncated scrubbed
    result_digest String CODEC(ZSTD(1)),
    result_empty Nullable(Bool) CODEC(ZSTD(1)),      -- NULL: the result is not known
    result_error Bool CODEC(ZSTD(1)),                -- the result itself says that it failed (MCP isError)
    attempt Nullable(Int32) CODEC(ZSTD(1)),
    attempt_max Nullable(Int32) CODEC(ZSTD(1)),
    attempt_reason LowCardinality(String) CODEC(ZSTD(1)),
    pending Bool CODEC(ZSTD(1)),
    replayed Bool CODEC(ZSTD(1)),
    effect LowCardinality(String) CODEC(ZSTD(1)),
    effect_idempotent Nullable(Bool) CODEC(ZSTD(1)),
    effect_key String CODEC(ZSTD(1)),
    effect_targets Array(String) CODEC(ZSTD(1)),
    effect_outcome LowCardinality(String) CODEC(ZSTD(1)),
    effect_compensates String CODEC(ZSTD(1)),
    used Array(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    provider LowCardinality(String) CODEC(ZSTD(1)),
    tokens_input Nullable(Int64) CODEC(ZSTD(1)),
    tokens_output Nullable(Int64) CODEC(ZSTD(1)),
    tokens_cache_read Nullable(Int64) CODEC(ZSTD(1)),
    tokens_cache_write Nullable(Int64) CODEC(ZSTD(1)),
    tokens_reasoning Nullable(Int64) CODEC(ZSTD(1)),
    finish_reasons Array(String) CODEC(ZSTD(1)),
    validation LowCardinality(String) CODEC(ZSTD(1)),
    validation_verdict LowCardinality(String) CODEC(ZSTD(1)),
    validation_targets Array(String) CODEC(ZSTD(1)),
    context_tools Nullable(Int64) CODEC(ZSTD(1)),
    context_items Nullable(Int64) CODEC(ZSTD(1)),
    destination LowCardinality(String) CODEC(ZSTD(1)),
    message_id String CODEC(ZSTD(1)),
    http_method LowCardinality(String) CODEC(ZSTD(1)),
    http_status Nullable(Int32) CODEC(ZSTD(1)),
    db_operation LowCardinality(String) CODEC(ZSTD(1)),
    link_traces Array(String) CODEC(ZSTD(1)),
    link_spans Array(String) CODEC(ZSTD(1)),
    code_file LowCardinality(String) CODEC(ZSTD(1)),
    code_line Nullable(Int32) CODEC(T64, ZSTD(1)),
    code_function LowCardinality(String) CODEC(ZSTD(1)),
    dropped_attributes UInt32 CODEC(ZSTD(1)),
    remote_parent Bool CODEC(ZSTD(1)),
    row_version UInt32 CODEC(ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    INDEX started_minmax started_at TYPE minmax GRANULARITY 1,
    INDEX run_bloom run_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX instance_bloom instance TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
PARTITION BY toYYYYMM(started_at)
ORDER BY (trace_id, span_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000,
    min_bytes_for_wide_part = 67108864
