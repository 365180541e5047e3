-- What could not be judged of one run. {run}: run id.
SELECT detector, reason FROM not_checked FINAL WHERE run_id = {run:String} AND NOT retracted ORDER BY detector, reason
