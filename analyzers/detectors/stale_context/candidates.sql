-- Traces that touched a version of a key which has a newer one in scope: the readers' and the writers' traces.
-- A superset: whether the newer version was knowable is decided later.
WITH
    written AS
    (
        SELECT store, key, uniqExact(version) AS versions, groupUniqArray(trace_id) AS writers
        FROM $memory_ops
        WHERE op IN ('write', 'delete') AND version != ''
        GROUP BY store, key
    ),
    touched AS
    (
        SELECT store, key, version, trace_id FROM $memory_ops WHERE op IN ('read', 'search') AND version != ''
        UNION ALL
        SELECT store, key, parent AS version, trace_id FROM $memory_ops ARRAY JOIN parents AS parent
    )
SELECT DISTINCT arrayJoin(arrayConcat(written.writers, [touched.trace_id])) AS trace_id
FROM touched
INNER JOIN written ON written.store = touched.store AND written.key = touched.key
WHERE written.versions > 1 OR touched.version = 'init'
UNION DISTINCT
SELECT DISTINCT trace_id FROM $steps WHERE notEmpty(used)
UNION DISTINCT
SELECT DISTINCT trace_id FROM $memory_ops
WHERE op IN ('write', 'delete') AND (SELECT count() FROM $steps WHERE notEmpty(used)) > 0
