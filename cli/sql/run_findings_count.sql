-- How many findings each judged run has, by severity.
SELECT run_id, findings_error, findings_warning, findings_info FROM runs FINAL
