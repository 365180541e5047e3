-- How much the store holds. Answered from part metadata: no column is read. Expected: one row.
SELECT
    (SELECT sum(rows) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'steps') AS spans,
    (SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()) AS bytes
