-- The spans of all traces that may belong to one run, narrow. {traces}: trace ids. Expected: up to some 10,000 rows.
-- Why a span failed may stand in its log records alone.
-- The first two columns are the span's key. Payloads are not here: see span_payload.sql.
SELECT
    trace_id, span_id, parent_id, run_id AS said_run, service, host, clock, name, kind,
    toUnixTimestamp64Nano(started_at) AS start_ns, toUnixTimestamp64Nano(ended_at) AS end_ns,
    status, if(error_type = '' AND status = 'error', logged_error, error_type) AS error_type,
    agent AS said_agent, step_name, tool, call_id, attempt, attempt_max, attempt_reason,
    pending, replayed, effect, effect_outcome, outcome, model, tokens_input, tokens_output, seq, destination,
    validation_verdict, link_traces, link_spans
FROM (SELECT * FROM steps FINAL WHERE trace_id IN {traces:Array(String)}) AS said
LEFT JOIN
(
    SELECT
        trace_id AS of_trace, span_id AS of_span,
        argMinIf(error_type, (logged_at, record_hash), error_type != '') AS logged_error
    FROM span_facts FINAL
    WHERE trace_id IN {traces:Array(String)}
    GROUP BY of_trace, of_span
) AS logged ON logged.of_trace = said.trace_id AND logged.of_span = said.span_id
ORDER BY start_ns, seq, trace_id, span_id
