-- What is said to be not checked, of some runs and of the record as a whole. {runs}: run ids.
SELECT run_id, detector, reason
FROM not_checked FINAL
WHERE NOT retracted AND (run_id = '' OR run_id IN (SELECT arrayJoin({runs:Array(String)})))
