-- Traces of runs that may hold a duplicate effect. A superset: what a call is and did is decided later.
SELECT DISTINCT trace_id FROM $steps WHERE kind IN ('tool', 'step') OR effect IN ('write', 'destructive')
UNION DISTINCT
SELECT DISTINCT trace_id FROM $memory_ops WHERE op IN ('write', 'delete')
