-- The traces that hold spans of one run, by the spans' own word or as resolved at analysis. {run}: run id.
SELECT DISTINCT trace_id FROM run_traces WHERE run_id = {run:String}
UNION DISTINCT
SELECT DISTINCT trace_id FROM run_parts WHERE run_id = {run:String}
