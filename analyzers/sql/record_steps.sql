-- The spans of chosen traces in canonical terms, times as nanoseconds. {wanted}: trace ids; empty = all in scope.
-- What only log records say of a span completes it: a reason for its failure, why a model stopped,
-- tokens, what a tool was given and gave.
SELECT
    trace_id, span_id, parent_id, run_id AS said_run, run_parent_id, conversation_id, workflow, service, service_version,
    instance, host,
    clock, scope, dialect, name, kind, operation, span_kind,
    toUnixTimestamp64Nano(started_at) AS start_ns, toUnixTimestamp64Nano(ended_at) AS end_ns,
    status,
    if(status_message = '' AND status = 'error', logged_message, status_message) AS status_message,
    if(error_type = '' AND status = 'error', logged_error, error_type) AS error_type,
    agent AS said_agent, agent_instance AS said_instance, variant, step_name,
    seq, seq_end, uow AS said_uow, uow_atomic, outcome, expects,
    tool, tool_call_id, call_id,
    if(kind = 'tool' AND said.args_state = 'missing' AND logged_args_state != '', logged_args, said.args_digest)
        AS args_digest,
    if(kind = 'tool' AND said.args_state = 'missing' AND logged_args_state != '', logged_args_state, said.args_state)
        AS args_state,
    if(kind = 'tool' AND said.result_digest = '', logged_result, said.result_digest) AS result_digest,
    if(kind IN ('tool', 'agent'), coalesce(said.result_empty, logged_empty), said.result_empty) AS result_empty,
    result_error,
    attempt, attempt_max, attempt_reason, pending, replayed,
    effect, effect_idempotent, effect_key, effect_targets, effect_outcome, effect_compensates, used,
    model,
    coalesce(tokens_input, logged_input) AS tokens_input,
    coalesce(tokens_output, logged_output) AS tokens_output,
    if(empty(finish_reasons), logged_reasons, finish_reasons) AS finish_reasons,
    validation, validation_verdict, destination, message_id, http_method, http_status, db_operation,
    link_traces, link_spans, code_file, code_line, dropped_attributes, remote_parent
FROM $steps AS said
LEFT JOIN $span_facts AS logged ON logged.of_trace = said.trace_id AND logged.of_span = said.span_id
WHERE empty({wanted:Array(String)}) OR trace_id IN (SELECT arrayJoin({wanted:Array(String)}))
ORDER BY start_ns, trace_id, seq, span_id
