-- One analysed run. {run}: run id. Expected: one row.
SELECT
    run_id, parent_id, conversation_id, workflow, service, service_version, variant, outcome, status, clock,
    started_at, ended_at, traces, spans, agents, tools, effects, memory_ops, retries, errors, tokens_input, tokens_output,
    findings_error, findings_warning, findings_info, incomplete, analysed_at
FROM runs FINAL
WHERE run_id = {run:String}
