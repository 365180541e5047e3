-- otel_logs -> span_facts: what the log records that OpenTelemetry's conventions define say about the span they belong
-- to (GenAI events and exceptions). Chat messages and choices carry a body where older instrumentations wrote them.
CREATE MATERIALIZED VIEW canonical_span_facts TO span_facts AS
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    Timestamp AS logged_at,
    RecordHash AS record_hash,
    if(LogAttributes['exception.type'] != '', LogAttributes['exception.type'], LogAttributes['error.type']) AS error_type,
    LogAttributes['exception.message'] AS error_message,
    multiIf(
        said_reasons != '', $list(said_reasons),
        LogAttributes['finish_reason'] != '', [LogAttributes['finish_reason']],
        EventName = 'gen_ai.choice', arrayFilter(r -> r != '', [JSONExtractString(Body, 'finish_reason')]),
        arrayFilter(r -> r != '', arrayMap(
            m -> JSONExtractString(m, 'finish_reason'), JSONExtractArrayRaw(LogAttributes['gen_ai.output.messages']))))
        AS finish_reasons,
    toInt64OrNull(LogAttributes['gen_ai.usage.input_tokens']) AS tokens_input,
    toInt64OrNull(LogAttributes['gen_ai.usage.output_tokens']) AS tokens_output
FROM (SELECT *, LogAttributes['gen_ai.response.finish_reasons'] AS said_reasons FROM otel_logs)
WHERE TraceId != '' AND SpanId != ''
    AND (EventName IN ('gen_ai.client.inference.operation.details', 'gen_ai.choice', 'gen_ai.client.operation.exception')
        OR mapContains(LogAttributes, 'exception.type'))
