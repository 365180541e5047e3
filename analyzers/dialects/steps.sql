-- otel_traces -> steps: what each span means, in one pass over its attributes. Generated parts (compile.py):
-- $slots: the span's attribute keys as numbers; $dialect: who wrote the span; $field(x): the first known value of x.
-- The settings at the end belong to the canonical form of JSON: a date stays the text it is, `a.b` is one key, and true
-- beside a number is not 1.
-- Each stage names what the next ones use many times over: an alias would be planned anew at every use of it, which made
-- one small insert cost half a second. A value that only later branches of a multiIf use is computed at each use: `args`
-- stands in the first condition for that reason.
CREATE MATERIALIZED VIEW canonical_steps TO steps AS
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_id,
    $field(run_id) AS run_id,
    $field(run_parent_id) AS run_parent_id,
    $field(conversation_id) AS conversation_id,
    if($field(workflow) != '', $field(workflow), if(startsWith(SpanName, 'invoke_workflow '), substring(SpanName, 17), ''))
        AS workflow,
    ServiceName AS service,
    ResourceAttributes['service.version'] AS service_version,
    ResourceAttributes['service.instance.id'] AS instance,
    if(ResourceAttributes['host.name'] != '', ResourceAttributes['host.name'], ResourceAttributes['host.id']) AS host,
    ResourceAttributes['driftline.clock'] AS clock,
    ScopeName AS scope,
    found_dialect AS dialect,
    SpanName AS name,
    multiIf(
        said_kind != '', said_kind,
        SpanKind = 'Producer', 'send',
        SpanKind = 'Consumer', 'process',
        startsWith(SpanName, 'execute_tool '), 'tool',
        startsWith(SpanName, 'invoke_agent '), 'agent',
        startsWith(SpanName, 'invoke_workflow '), 'run',
        'other') AS kind,
    $field(operation) AS operation,
    SpanKind AS span_kind,
    Timestamp AS started_at,
    fromUnixTimestamp64Nano(toInt64(least(
        toUInt64(greatest(toUnixTimestamp64Nano(Timestamp), 0)) + Duration, 9223372036854775807)), 'UTC') AS ended_at,
    if(StatusCode = 'Unset' AND $field(failure) != '', 'error', lower(StatusCode)) AS status,
    if(StatusMessage != '', StatusMessage, $field(status_message)) AS status_message,
    multiIf(
        $field(error_type) != '', $field(error_type),
        has(`Events.Name`, 'exception'), `Events.Attributes`[indexOf(`Events.Name`, 'exception')]['exception.type'],
        '') AS error_type,
    multiIf(
        $field(agent) != '', $field(agent),
        startsWith(SpanName, 'invoke_agent '), substring(SpanName, 14),
        startsWith(SpanName, 'agent_run ['), extract(SpanName, '^agent_run \\[(.+)\\]$'),
        '') AS agent,
    $field(agent_instance) AS agent_instance,
    $field(variant) AS variant,
    $field(step_name) AS step_name,
    toInt64OrNull($field(seq)) AS seq,
    toInt64OrNull($field(seq_end)) AS seq_end,
    $field(uow) AS uow,
    $field(uow_atomic) = 'true' AS uow_atomic,
    lower($field(outcome)) AS outcome,
    $list($field(expects)) AS expects,
    multiIf(
        $field(tool) != '', $field(tool),
        startsWith(SpanName, 'execute_tool '), substring(SpanName, 14),
        startsWith(SpanName, 'tools/call '), substring(SpanName, 12),
        '') AS tool,
    $field(tool_call_id) AS tool_call_id,
    $field(call_id) AS call_id,
    multiIf(
        said_digest != '', said_digest,
        state_of_args = 'known', $digest(args),
        '') AS args_digest,
    state_of_args AS args_state,
    multiIf(
        $field(result_digest) != '', $field(result_digest),
        result != '' AND NOT $truncated(result) AND NOT $scrubbed_inside(result), $digest(result),
        '') AS result_digest,
    multiIf(
        $field(result_digest) != '', has($empty_digests, $field(result_digest)),
        result != '', has(['""', 'null', '{}', '[]', 'None'], trim(BOTH ' \n\t' FROM result)),
        arrayExists((k, v) -> has($result_keys, k) AND v = '', keys, raw), true,
        said_kind = 'agent' OR startsWith(SpanName, 'invoke_agent '), $silent($field(output_messages)),
        NULL) AS result_empty,
    startsWith(trimLeft(result), '{') AND JSONExtractBool(result, 'isError') AS result_error,
    if($field(attempt) != '', toInt32OrNull($field(attempt)), toInt32OrNull($field(attempt_resend)) + 1) AS attempt,
    toInt32OrNull($field(attempt_max)) AS attempt_max,
    $field(attempt_reason) AS attempt_reason,
    $field(pending) = 'true' AS pending,
    $field(replayed) = 'true' AS replayed,
    lower($field(effect)) AS effect,
    if($field(effect_idempotent) = '', NULL, $field(effect_idempotent) = 'true') AS effect_idempotent,
    $field(effect_key) AS effect_key,
    $list($field(effect_targets)) AS effect_targets,
    lower($field(effect_outcome)) AS effect_outcome,
    $field(effect_compensates) AS effect_compensates,
    $list($field(used)) AS used,
    $field(model) AS model,
    $field(provider) AS provider,
    toInt64OrNull($field(tokens_input)) AS tokens_input,
    toInt64OrNull($field(tokens_output)) AS tokens_output,
    toInt64OrNull($field(tokens_cache_read)) AS tokens_cache_read,
    toInt64OrNull($field(tokens_cache_write)) AS tokens_cache_write,
    toInt64OrNull($field(tokens_reasoning)) AS tokens_reasoning,
    if($field(finish_reasons) != '', $list($field(finish_reasons)), $reasons($field(output_messages))) AS finish_reasons,
    $field(validation) AS validation,
    lower($field(validation_verdict)) AS validation_verdict,
    $list($field(validation_targets)) AS validation_targets,
    toInt64OrNull($field(context_tools)) AS context_tools,
    toInt64OrNull($field(context_items)) AS context_items,
    $field(destination) AS destination,
    $field(message_id) AS message_id,
    upper($field(http_method)) AS http_method,
    toInt32OrNull($field(http_status)) AS http_status,
    upper($field(db_operation)) AS db_operation,
    `Links.TraceId` AS link_traces,
    `Links.SpanId` AS link_spans,
    $field(code_file) AS code_file,
    toInt32OrNull($field(code_line)) AS code_line,
    $field(code_function) AS code_function,
    DroppedAttributes AS dropped_attributes,
    bitTest(Flags, 8) = 1 AND bitTest(Flags, 9) = 1 AS remote_parent,
    RowVersion AS row_version,
    IngestedAt AS ingested_at
FROM
(
    SELECT
        *,
        multiIf(
            args = '' AND said_digest = '',
                if(arrayExists((k, v) -> has($content_keys, k) AND $removed(v), keys, raw), 'scrubbed', 'missing'),
            said_digest != '', 'known',
            $truncated(args), 'truncated',
            $scrubbed_inside(args), 'scrubbed',
            'known') AS state_of_args
    FROM
    (
        SELECT *, $unwrapped(said_args) AS args, $unwrapped(said_result) AS result
        FROM
        (
            SELECT
                *,
                $field(kind) AS said_kind,
                $field(tool_args) AS said_args,
                $field(tool_result) AS said_result,
                $field(args_digest) AS said_digest
            FROM
            (
                SELECT *, arrayMap(v -> $clean(v), raw) AS vals, $slots AS slots, $dialect AS found_dialect
                FROM (SELECT *, mapKeys(SpanAttributes) AS keys, mapValues(SpanAttributes) AS raw FROM otel_traces)
            )
        )
    )
)
WHERE $field(not_a_span) = ''
SETTINGS
    input_format_try_infer_dates = 0,
    input_format_try_infer_datetimes = 0,
    input_format_json_read_bools_as_numbers = 0,
    input_format_json_read_bools_as_strings = 0,
    json_type_escape_dots_in_keys = 1,
    output_format_json_escape_forward_slashes = 0
