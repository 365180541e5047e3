-- Run ids and fingerprints that begin so. {prefix}: what was typed. Expected: at most 10 rows.
SELECT id FROM
(
    SELECT DISTINCT run_id AS id FROM run_parts WHERE startsWith(run_id, {prefix:String})
    UNION DISTINCT
    SELECT DISTINCT run_id AS id FROM run_traces WHERE startsWith(run_id, {prefix:String})
    UNION DISTINCT
    SELECT DISTINCT fingerprint AS id FROM findings FINAL WHERE NOT retracted AND startsWith(fingerprint, {prefix:String})
)
ORDER BY id
LIMIT 10
