-- How many traces no analysis has seen yet.
SELECT count() AS traces FROM (SELECT DISTINCT trace_id FROM run_parts) AS t LEFT ANTI JOIN run_traces USING trace_id
