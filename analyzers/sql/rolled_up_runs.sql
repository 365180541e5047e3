-- steps -> run_parts: one row a trace and run of a batch. `rank`: of spans that could stand for the whole, which does:
-- the run itself, else a span without parent, the final copy before a pending one, and the earliest.
-- A message is told by the hash of where it went and its id; 0 stands for none.
CREATE MATERIALIZED VIEW rolled_up_runs TO run_parts AS
SELECT
    trace_id,
    run_id,
    max(ingested_at) AS last_span_at,
    min(started_at) AS started_at,
    max(ended_at) AS ended_at,
    groupUniqArrayArray(parents) AS parents,
    max(conversation_id) AS conversation_id,
    max(workflow) AS workflow,
    max(service) AS service,
    argMaxState(name, rank) AS name,
    argMaxState(standing, rank) AS status,
    max(claimed) AS outcome,
    groupUniqArrayArray(agents) AS agents,
    uniqCombinedState(12)(span) AS spans,
    uniqCombinedStateIf(12)(span, status = 'error') AS errors,
    groupUniqArrayArray(link_traces) AS links,
    groupUniqArrayArray(message) AS messages
FROM
(
    SELECT
        trace_id, run_id, ingested_at, started_at, ended_at, conversation_id, workflow, service, name, status, link_traces,
        CAST(if(pending, 'open', status), 'LowCardinality(String)') AS standing,
        CAST(if(kind = 'run', outcome, ''), 'LowCardinality(String)') AS claimed,
        if(run_parent_id = '', [], [run_parent_id]) AS parents,
        if(agent = '', [], [toString(agent)]) AS agents,
        if(message_id = '', [], [sipHash64(destination, message_id)]) AS message,
        sipHash64(span_id) AS span,
        bitShiftLeft(toInt128(4 * (kind = 'run') + 2 * (parent_id = '') + NOT pending), 64)
            - toUnixTimestamp64Nano(started_at) AS rank
    FROM steps
)
GROUP BY trace_id, run_id
SETTINGS prefer_column_name_to_alias = 1
