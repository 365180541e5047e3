-- Traces that share a run with, link to, or are linked from {traces}, exchange messages with them, or whose run started
-- theirs or was started by it: one step of the walk over a run's traces.
WITH mine AS (SELECT * FROM run_parts WHERE trace_id IN (SELECT arrayJoin({traces:Array(String)})))
SELECT DISTINCT trace_id FROM run_parts WHERE run_id IN (SELECT run_id FROM mine WHERE run_id != '')
UNION DISTINCT
SELECT DISTINCT arrayJoin(links) AS trace_id FROM mine
UNION DISTINCT
SELECT DISTINCT trace_id FROM (SELECT trace_id, arrayJoin(links) AS other FROM run_parts)
WHERE other IN (SELECT arrayJoin({traces:Array(String)}))
UNION DISTINCT
SELECT DISTINCT trace_id FROM (SELECT trace_id, arrayJoin(messages) AS message FROM run_parts)
WHERE message IN (SELECT arrayJoin(messages) FROM mine)
UNION DISTINCT
SELECT DISTINCT trace_id FROM (SELECT trace_id, arrayJoin(parents) AS parent FROM run_parts)
WHERE parent IN (SELECT run_id FROM mine)
UNION DISTINCT
SELECT DISTINCT trace_id FROM run_parts WHERE run_id != '' AND run_id IN (SELECT arrayJoin(parents) FROM mine)
