-- Traces that share a run with, link to, or are linked from {traces}, or whose run started theirs or was started by it:
-- one step of the walk over a run's traces.
SELECT DISTINCT trace_id FROM steps
WHERE run_id IN (SELECT run_id FROM steps WHERE trace_id IN (SELECT arrayJoin({traces:Array(String)})) AND run_id != '')
UNION DISTINCT
SELECT DISTINCT arrayJoin(link_traces) AS trace_id FROM steps WHERE trace_id IN (SELECT arrayJoin({traces:Array(String)}))
UNION DISTINCT
SELECT DISTINCT trace_id FROM (SELECT trace_id, arrayJoin(link_traces) AS other FROM steps)
WHERE other IN (SELECT arrayJoin({traces:Array(String)}))
UNION DISTINCT
SELECT DISTINCT trace_id FROM steps
WHERE (destination, message_id) IN
    (SELECT destination, message_id FROM steps WHERE trace_id IN (SELECT arrayJoin({traces:Array(String)})) AND message_id != '')
UNION DISTINCT
SELECT DISTINCT trace_id FROM steps
WHERE run_parent_id != '' AND run_parent_id IN (SELECT run_id FROM steps WHERE trace_id IN (SELECT arrayJoin({traces:Array(String)})))
UNION DISTINCT
SELECT DISTINCT trace_id FROM steps
WHERE run_id != '' AND run_id IN (SELECT run_parent_id FROM steps WHERE trace_id IN (SELECT arrayJoin({traces:Array(String)})))
