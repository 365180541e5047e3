-- The logs that a ClickHouse server writes about itself and never deletes from.
SELECT name, ifNull(total_bytes, 0) AS bytes
FROM system.tables
WHERE database = 'system' AND name LIKE '%\_log' AND engine LIKE '%MergeTree' AND NOT match(engine_full, '\\bTTL\\b')
ORDER BY bytes DESC
