-- Traces of runs where something touched a version that has a newer one in scope: readers, users and all writers of
-- the key. A superset: whether the newer version was knowable is decided later. Reads without versions are named as
-- not checked, so their traces are wanted too. A path of messages, or of versions written in one run and read in
-- another, may lead through runs that touched nothing.
WITH
    written AS
    (
        SELECT store, key, trace_id, version, parents, blind, ordinal
        FROM $memory_ops
        WHERE op IN ('write', 'delete') AND version != ''
    ),
    replaced AS
    (
        SELECT store, key, arrayJoin(parents) AS version FROM written
        UNION DISTINCT
        SELECT store, key, 'init' AS version FROM written
        UNION DISTINCT
        SELECT store, key, version FROM $memory_ops
        WHERE version != '' AND (store, key) IN (SELECT store, key FROM written WHERE blind OR isNotNull(ordinal))
    ),
    touched AS
    (
        SELECT store, key, trace_id FROM $memory_ops
        WHERE op IN ('read', 'search') AND (store, key, version) IN (SELECT store, key, version FROM replaced)
        UNION ALL
        SELECT store, key, trace_id FROM written
        WHERE notEmpty(parents) AND (store, key) IN (SELECT store, key FROM $memory_ops WHERE op = 'delete')
        UNION ALL
        SELECT replaced.store AS store, replaced.key AS key, used.trace_id AS trace_id
        FROM replaced
        INNER JOIN (SELECT DISTINCT trace_id, arrayJoin(used) AS reference FROM $steps WHERE notEmpty(used)) AS used
            ON used.reference = concat(replaced.store, '/', replaced.key, '@', replaced.version)
    ),
    handed AS
    (
        SELECT taken.trace_id AS receiver, sent.trace_id AS sender
        FROM (SELECT run_id, trace_id, arrayJoin(link_traces) AS linked FROM $steps WHERE notEmpty(link_traces)) AS taken
        INNER JOIN (SELECT DISTINCT run_id, trace_id FROM $steps) AS sent ON sent.trace_id = taken.linked
        WHERE sent.run_id != taken.run_id
    ),
    seen AS
    (
        SELECT observed.trace_id AS receiver, made.trace_id AS sender
        FROM (SELECT DISTINCT trace_id, store, key, version FROM $memory_ops WHERE op IN ('read', 'search')) AS observed
        INNER JOIN (SELECT DISTINCT trace_id, store, key, version FROM $memory_ops WHERE op IN ('write', 'delete')) AS made
            USING (store, key, version)
        WHERE made.trace_id != observed.trace_id
    )
SELECT trace_id FROM touched
UNION DISTINCT
SELECT trace_id FROM written WHERE (store, key) IN (SELECT store, key FROM touched)
UNION DISTINCT
SELECT arrayJoin([receiver, sender]) AS trace_id FROM handed WHERE (SELECT count() FROM touched) > 0
UNION DISTINCT
SELECT arrayJoin([receiver, sender]) AS trace_id FROM seen WHERE (SELECT count() FROM touched) > 0
UNION DISTINCT
SELECT trace_id FROM $memory_ops WHERE op = 'read' AND (version = '' OR version_kind IN ('digest', 'none'))
UNION DISTINCT
SELECT trace_id FROM $steps
WHERE kind = 'memory' AND operation = 'read_memory'
    AND (trace_id, span_id) NOT IN (SELECT trace_id, span_id FROM $memory_ops WHERE op = 'read')
UNION DISTINCT
SELECT trace_id FROM $steps WHERE arrayExists(reference -> endsWith(reference, '@'), used)
