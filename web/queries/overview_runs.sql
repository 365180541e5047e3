-- Runs since a moment, by workflow. {since}: UTC. Expected: one row a workflow.
SELECT
    workflow, count() AS runs, countIf(findings_error > 0) AS failing, countIf(findings_error = 0 AND findings_warning > 0) AS doubtful,
    countIf(notEmpty(incomplete)) AS incomplete, countIf(status = 'open') AS open, sum(spans) AS spans,
    min(started_at) AS first_at, max(started_at) AS last_at, max(last_span_at) AS last_span
FROM runs FINAL
WHERE started_at >= {since:DateTime64(9, 'UTC')}
GROUP BY workflow
ORDER BY runs DESC, workflow
