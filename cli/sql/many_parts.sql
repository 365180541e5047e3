-- Partitions of our tables that lie in more than {most} parts.
SELECT table, partition, count() AS parts
FROM system.parts
WHERE active AND database = currentDatabase()
GROUP BY table, partition
HAVING parts > {most:UInt32}
ORDER BY parts DESC
LIMIT 5
