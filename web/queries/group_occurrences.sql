-- Where one defect was found, newest first. {id}: fingerprint; {limit}, {offset}.
SELECT f.run_id AS run_id, f.occurrence AS occurrence, f.grade AS grade, f.severity AS severity, f.subject AS subject,
    f.title AS title, f.occurred_at AS occurred_at, f.service_version AS service_version, r.outcome AS outcome,
    r.status AS status
FROM (SELECT * FROM findings FINAL WHERE fingerprint = {id:String} AND NOT retracted) AS f
LEFT JOIN (SELECT run_id, outcome, status FROM runs FINAL) AS r ON f.run_id = r.run_id
ORDER BY occurred_at DESC, run_id, occurrence
LIMIT {limit:UInt32} OFFSET {offset:UInt32}
