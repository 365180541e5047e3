-- The findings that stand for some runs. {runs}: run ids.
SELECT
    run_id, fingerprint, occurrence, detector, anomaly, grade, severity, workflow, service_version, subject, title,
    trace_id, span_id, occurred_at, body
FROM findings FINAL
WHERE NOT retracted AND run_id IN (SELECT arrayJoin({runs:Array(String)}))
