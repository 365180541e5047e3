-- Findings as `driftline check` prints them, worst first. {ids}: fingerprints; {run}: a run id, '' = any.
SELECT body
FROM findings FINAL
WHERE NOT retracted
    AND (empty({ids:Array(String)}) OR fingerprint IN {ids:Array(String)})
    AND ({run:String} = '' OR run_id = {run:String})
ORDER BY indexOf(['error', 'warning', 'info'], severity),
    indexOf(['definite', 'definite_within_skew', 'possible'], grade), run_id, fingerprint, occurrence
LIMIT {limit:UInt32}
