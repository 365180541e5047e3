-- One span in canonical terms. {trace}, {span}: its key. Expected: one row.
SELECT *, toUnixTimestamp64Nano(started_at) AS start_ns, toUnixTimestamp64Nano(ended_at) AS end_ns
FROM steps FINAL
WHERE trace_id = {trace:String} AND span_id = {span:String}
