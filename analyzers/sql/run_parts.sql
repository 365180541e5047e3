-- What each trace contributes to each run its spans name ('' = the span names none). Merged into runs in Polars.
-- `lone`: a span that names no run in a trace that names several counts by itself, under its id.
-- Span ids settle ties of time, so that the order of arrival decides nothing.
SELECT
    trace_id,
    run_id AS said_run,
    if(run_id = '' AND trace_id IN
        (SELECT trace_id FROM $steps WHERE run_id != '' GROUP BY trace_id HAVING uniqExact(run_id) > 1), span_id, '') AS lone,
    max(run_parent_id) AS parent_id,
    max(conversation_id) AS conversation_id,
    argMinIf(workflow, (started_at, span_id), workflow != '') AS workflow,
    argMin(name, (kind != 'run', parent_id != '', started_at, span_id)) AS first_name,
    argMin(service, (started_at, span_id)) AS service,
    argMin(service_version, (started_at, span_id)) AS service_version,
    argMinIf(variant, (started_at, span_id), variant != '') AS variant,
    argMaxIf(outcome, (ended_at, span_id), kind = 'run') AS outcome,
    argMax(status, (kind = 'run', parent_id = '', ended_at, span_id)) AS root_status,
    countIf(pending AND kind IN ('run', 'agent')) AS open,
    max(clock) AS clock,
    min(started_at) AS started_at,
    max(ended_at) AS ended_at,
    count() AS spans,
    groupUniqArrayIf(agent, agent != '') AS agents,
    countIf(kind NOT IN ('llm', 'memory', 'retrieval', 'other')) AS units,
    countIf(kind = 'tool') AS tools,
    countIf(effect IN ('write', 'destructive')) AS effects,
    countIf(attempt > 1) AS retries,
    countIf(status = 'error') AS errors,
    sumIf(tokens_input, kind = 'llm') AS tokens_input,
    sumIf(tokens_output, kind = 'llm') AS tokens_output,
    max(ingested_at) AS last_span_at
FROM $steps
GROUP BY trace_id, run_id, lone
SETTINGS prefer_column_name_to_alias = 1
