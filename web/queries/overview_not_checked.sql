-- What could not be judged since a moment, by reason. {since}: UTC. '' as run = the whole record.
SELECT reason, arraySort(groupUniqArray(detector)) AS detectors, uniqExactIf(run_id, run_id != '') AS runs
FROM not_checked FINAL
WHERE NOT retracted
    AND (run_id = '' OR run_id IN (SELECT run_id FROM runs FINAL WHERE started_at >= {since:DateTime64(9, 'UTC')}))
GROUP BY reason
ORDER BY runs DESC, reason
LIMIT 100
