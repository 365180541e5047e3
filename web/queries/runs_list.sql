-- Analysed runs that match, one page. {since}: UTC; {workflow}, {status}, {outcome}, {agent}: '' = any; {severity}:
-- '' any, 'none' without findings; {text}: part of id, workflow, service or conversation. $order: column and direction.
SELECT
    run_id, workflow, service, service_version, variant, outcome, status, clock, started_at,
    toUnixTimestamp64Nano(ended_at) - toUnixTimestamp64Nano(started_at) AS duration_ns,
    traces, spans, agents, tools, effects, retries, errors, tokens_input + tokens_output AS tokens,
    findings_error, findings_warning, findings_info, notEmpty(incomplete) AS incomplete,
    count() OVER () AS matching
FROM runs FINAL
WHERE $where
ORDER BY $order
LIMIT {limit:UInt32} OFFSET {offset:UInt32}
