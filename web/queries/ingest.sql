-- How much the store holds. Answered from part metadata: no column is read, and a span that came twice
-- counts twice until the engine merges its copies. Expected: one row.
SELECT
    (SELECT sum(rows) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'steps') AS spans,
    (SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()) AS bytes
