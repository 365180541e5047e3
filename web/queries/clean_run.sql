-- The newest whole run of a workflow in which nothing was found, to compare with. {workflow}: its name.
SELECT run_id FROM runs FINAL
WHERE workflow = {workflow:String} AND findings_error + findings_warning + findings_info = 0 AND empty(incomplete)
    AND status = 'ok'
ORDER BY started_at DESC LIMIT 1
