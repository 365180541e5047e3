-- The spans of all traces that may belong to one run, oldest first. {run}: run id, or a trace id where no run is known.
SELECT
    trace_id, span_id, parent_id, run_id AS said_run, kind, name, service, agent, status, error_type, attempt,
    attempt_max, call_id, effect_outcome, pending, replayed, clock, outcome,
    toUnixTimestamp64Nano(started_at) AS start_ns, toUnixTimestamp64Nano(ended_at) AS end_ns, seq,
    link_traces, link_spans
FROM steps FINAL
WHERE run_id = {run:String}
    OR (run_id = '' AND trace_id IN (SELECT trace_id FROM run_traces FINAL WHERE run_id = {run:String}))
    OR (run_id = '' AND trace_id = {run:String})
ORDER BY start_ns, seq, trace_id, span_id
