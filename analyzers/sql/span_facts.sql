-- One row a span of which log records tell something; the earliest record that does counts. Records come about when
-- their span does: a day before and after the scope is plenty.
(
    SELECT
        trace_id AS of_trace,
        span_id AS of_span,
        argMinIf(error_type, (logged_at, record_hash), error_type != '') AS logged_error,
        argMinIf(error_message, (logged_at, record_hash), error_type != '') AS logged_message,
        argMinIf(finish_reasons, (logged_at, record_hash), notEmpty(finish_reasons)) AS logged_reasons,
        argMin(tokens_input, (logged_at, record_hash)) AS logged_input,
        argMin(tokens_output, (logged_at, record_hash)) AS logged_output,
        argMinIf(args_digest, (logged_at, record_hash), args_state != '') AS logged_args,
        argMinIf(args_state, (logged_at, record_hash), args_state != '') AS logged_args_state,
        argMinIf(result_digest, (logged_at, record_hash), result_digest != '') AS logged_result,
        min(result_empty) AS logged_empty
    FROM span_facts FINAL
    WHERE (empty({traces:Array(String)}) OR trace_id IN (SELECT arrayJoin({traces:Array(String)})))
        AND logged_at >= {since:DateTime64(9, 'UTC')} - INTERVAL 1 DAY
        AND logged_at < {until:DateTime64(9, 'UTC')} + INTERVAL 1 DAY
    GROUP BY trace_id, span_id
)
