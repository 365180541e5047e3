-- One row a trace in scope: the runs its spans name, and when it began. Expected: one row a trace.
SELECT
    trace_id,
    arraySort(groupUniqArrayIf(run_id, run_id != '')) AS run_ids,
    min(started_at) AS began
FROM $steps
GROUP BY trace_id
