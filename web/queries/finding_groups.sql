-- Findings since a moment, one row a defect (fingerprint), worst first; title, run and subject are of its worst finding. {since}: UTC; {start}, {step}: buckets of the
-- trend in seconds; {workflow}, {severity}, {detector}, {anomaly}, {grade}, {id}: '' = any; {text}: part of the title.
SELECT
    fingerprint, any(detector) AS detector, any(anomaly) AS anomaly,
    argMin(severity, severity_rank) AS severity, argMin(grade, grade_rank) AS grade,
    any(workflow) AS workflow, argMin(title, shown_rank) AS title, argMin(run_id, shown_rank) AS shown_run,
    argMin(subject, shown_rank) AS subject,
    uniqExact(run_id) AS runs, count() AS occurrences,
    min(occurred_at) AS first_at, max(occurred_at) AS last_at,
    sumMap(map(intDiv(toInt64(toUnixTimestamp(occurred_at)) - {start:Int64}, {step:Int64}), toUInt64(1))) AS trend
FROM
(
    SELECT *, indexOf(['error', 'warning', 'info'], severity) AS severity_rank,
        indexOf(['definite', 'definite_within_skew', 'possible'], grade) AS grade_rank,
        (severity_rank, grade_rank, -toUnixTimestamp64Nano(occurred_at), run_id) AS shown_rank
    FROM findings FINAL
    WHERE NOT retracted
        AND run_id IN (SELECT run_id FROM runs FINAL WHERE started_at >= {since:DateTime64(9, 'UTC')})
        AND ({workflow:String} = '' OR workflow = {workflow:String})
        AND ({severity:String} = '' OR severity = {severity:String})
        AND ({detector:String} = '' OR detector = {detector:String})
        AND ({anomaly:String} = '' OR anomaly = {anomaly:String})
        AND ({grade:String} = '' OR grade = {grade:String})
        AND ({id:String} = '' OR fingerprint = {id:String})
        AND ({text:String} = '' OR positionCaseInsensitiveUTF8(concat(title, ' ', subject, ' ', fingerprint), {text:String}) > 0)
)
GROUP BY fingerprint
ORDER BY min(severity_rank), min(grade_rank), runs DESC, last_at DESC, fingerprint
LIMIT 500
