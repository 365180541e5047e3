-- The findings in the store by fingerprint, worst first. {severity}, {workflow}: '' = any. Expected: up to {limit} rows.
SELECT
    fingerprint, argMin(severity, rank) AS severity, any(detector) AS detector, any(anomaly) AS anomaly,
    argMin(grade, grade_rank) AS grade, any(workflow) AS workflow, uniqExact(run_id) AS runs,
    toString(max(occurred_at)) AS last_seen, argMin(title, (rank, grade_rank)) AS title
FROM
(
    SELECT *, indexOf(['error', 'warning', 'info'], severity) AS rank,
        indexOf(['definite', 'definite_within_skew', 'possible'], grade) AS grade_rank
    FROM findings FINAL
    WHERE NOT retracted
        AND ({severity:String} = '' OR severity = {severity:String})
        AND ({workflow:String} = '' OR workflow = {workflow:String})
)
GROUP BY fingerprint
ORDER BY min(rank), min(grade_rank), runs DESC, fingerprint
LIMIT {limit:UInt32}
