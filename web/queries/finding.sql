-- The findings of one defect in one run. {id}: fingerprint; {run}: run id; {occurrence}: '' = all.
SELECT run_id, fingerprint, occurrence, body, occurred_at, analysed_at, workflow, service_version
FROM findings FINAL
WHERE run_id = {run:String} AND fingerprint = {id:String} AND NOT retracted
    AND ({occurrence:String} = '' OR occurrence = {occurrence:String})
ORDER BY occurred_at, occurrence
