-- To which runs some traces were resolved. {traces}: trace ids.
SELECT trace_id, run_id FROM run_traces FINAL WHERE trace_id IN {traces:Array(String)}
