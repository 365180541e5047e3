-- Every trace of the runs that some traces were said to belong to. {traces}: trace ids.
SELECT trace_id, run_id
FROM run_traces FINAL
WHERE run_id IN (SELECT run_id FROM run_traces WHERE trace_id IN (SELECT arrayJoin({traces:Array(String)})))
