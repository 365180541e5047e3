-- The findings of one run, worst first. {run}: run id.
SELECT fingerprint, occurrence, detector, anomaly, grade, severity, subject, title, body
FROM findings FINAL
WHERE run_id = {run:String} AND NOT retracted
ORDER BY indexOf(['error', 'warning', 'info'], severity), indexOf(['definite', 'definite_within_skew', 'possible'], grade),
    occurred_at, fingerprint, occurrence
