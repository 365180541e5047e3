-- otel_logs -> span_facts: what the log records that OpenTelemetry's conventions define say about the span they belong
-- to (GenAI events and exceptions). Chat messages and choices carry a body where older instrumentations wrote them.
-- A record cannot know what kind its span is: whether `gen_ai.choice` tells of a model or of a tool is asked when it is
-- joined. Generated parts, and the settings at the end: see steps.sql.
CREATE MATERIALIZED VIEW canonical_span_facts TO span_facts AS
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    Timestamp AS logged_at,
    RecordHash AS record_hash,
    IngestedAt AS ingested_at,
    if(LogAttributes['exception.type'] != '', LogAttributes['exception.type'], LogAttributes['error.type']) AS error_type,
    LogAttributes['exception.message'] AS error_message,
    multiIf(
        LogAttributes['gen_ai.response.finish_reasons'] != '', $list(LogAttributes['gen_ai.response.finish_reasons']),
        LogAttributes['finish_reason'] != '', [LogAttributes['finish_reason']],
        EventName = 'gen_ai.choice', arrayFilter(r -> r != '', [JSONExtractString(Body, 'finish_reason')]),
        $reasons(output_messages)) AS finish_reasons,
    toInt64OrNull(LogAttributes['gen_ai.usage.input_tokens']) AS tokens_input,
    toInt64OrNull(LogAttributes['gen_ai.usage.output_tokens']) AS tokens_output,
    multiIf(args = '', '', $truncated(args), 'truncated', $scrubbed_inside(args), 'scrubbed', 'known') AS args_state,
    if(args_state = 'known', $digest(args), '') AS args_digest,
    if(result != '' AND NOT $truncated(result) AND NOT $scrubbed_inside(result), $digest(result), '') AS result_digest,
    multiIf(
        result != '', has(['""', 'null', '{}', '[]', 'None'], trim(BOTH ' \n\t' FROM result)),
        $silent(output_messages)) AS result_empty
FROM
(
    SELECT *, $unwrapped(said_args) AS args, $unwrapped(said_result) AS result
    FROM
    (
        SELECT
            *,
            LogAttributes['gen_ai.output.messages'] AS output_messages,
            multiIf(
                LogAttributes['gen_ai.tool.call.arguments'] != '', LogAttributes['gen_ai.tool.call.arguments'],
                EventName != 'gen_ai.tool.message', '',
                LogAttributes['content'] != '', LogAttributes['content'],
                JSONType(Body, 'content') = 'String', JSONExtractString(Body, 'content'),
                JSONExtractRaw(Body, 'content')) AS said_args,
            multiIf(
                LogAttributes['gen_ai.tool.call.result'] != '', LogAttributes['gen_ai.tool.call.result'],
                EventName != 'gen_ai.choice', '',
                LogAttributes['message'] != '', LogAttributes['message'],
                JSONType(Body, 'message', 'content') = 'String', JSONExtractString(Body, 'message', 'content'),
                JSONExtractRaw(Body, 'message', 'content')) AS said_result
        FROM otel_logs
    )
)
WHERE TraceId != '' AND SpanId != ''
    AND (EventName IN ('gen_ai.client.inference.operation.details', 'gen_ai.choice', 'gen_ai.tool.message',
            'gen_ai.client.operation.exception')
        OR mapContains(LogAttributes, 'exception.type')
        OR mapContains(LogAttributes, 'gen_ai.tool.call.arguments')
        OR mapContains(LogAttributes, 'gen_ai.tool.call.result'))
SETTINGS
    input_format_try_infer_dates = 0,
    input_format_try_infer_datetimes = 0,
    input_format_json_read_bools_as_numbers = 0,
    input_format_json_read_bools_as_strings = 0,
    json_type_escape_dots_in_keys = 1,
    output_format_json_escape_forward_slashes = 0
