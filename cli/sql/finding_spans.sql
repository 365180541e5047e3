-- What findings say of their spans, with the call site of each, and the run spans of their traces: a finding without a
-- call site of its own is shown where its run begins. {traces}, {spans}: ids. Expected: some hundred rows.
SELECT trace_id, span_id, kind, name, agent, code_file, code_line, toUnixTimestamp64Nano(started_at) AS start_ns
FROM steps FINAL
WHERE trace_id IN {traces:Array(String)} AND (span_id IN {spans:Array(String)} OR kind = 'run')
