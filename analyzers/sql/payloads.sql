-- Arguments and results of some spans. {traces}, {spans}: their ids. Reads payload columns: only for few spans.
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    arrayFirst(x -> x != '', [
        SpanAttributes['gen_ai.tool.call.arguments'], SpanAttributes['langfuse.observation.input'],
        SpanAttributes['input.value'], SpanAttributes['tool.parameters']]) AS arguments,
    arrayFirst(x -> x != '', [
        SpanAttributes['gen_ai.tool.call.result'], SpanAttributes['langfuse.observation.output'],
        SpanAttributes['output.value']]) AS result
FROM otel_traces FINAL
WHERE TraceId IN (SELECT arrayJoin({traces:Array(String)})) AND SpanId IN (SELECT arrayJoin({spans:Array(String)}))
