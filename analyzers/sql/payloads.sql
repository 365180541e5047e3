-- Arguments and results of some spans, the spans' own word first, then that of their log records. {traces}, {spans}:
-- their ids. Reads payload columns: only for few spans.
SELECT
    trace_id, span_id,
    argMaxIf(arguments, own, arguments != '') AS arguments,
    argMaxIf(result, own, result != '') AS result
FROM
(
    SELECT
        TraceId AS trace_id,
        SpanId AS span_id,
        arrayFirst(x -> x != '', [
            SpanAttributes['gen_ai.tool.call.arguments'], SpanAttributes['langfuse.observation.input'],
            SpanAttributes['input.value'], SpanAttributes['tool.parameters']]) AS arguments,
        arrayFirst(x -> x != '', [
            SpanAttributes['gen_ai.tool.call.result'], SpanAttributes['langfuse.observation.output'],
            SpanAttributes['output.value']]) AS result,
        (1, 0, 0) AS own
    FROM otel_traces FINAL
    WHERE TraceId IN (SELECT arrayJoin({traces:Array(String)})) AND SpanId IN (SELECT arrayJoin({spans:Array(String)}))
    UNION ALL
    SELECT
        TraceId, SpanId,
        LogAttributes['gen_ai.tool.call.arguments'],
        LogAttributes['gen_ai.tool.call.result'],
        (0, -toUnixTimestamp64Nano(Timestamp), RecordHash)
    FROM otel_logs FINAL
    WHERE TraceId IN (SELECT arrayJoin({traces:Array(String)})) AND SpanId IN (SELECT arrayJoin({spans:Array(String)}))
)
GROUP BY trace_id, span_id
