-- Senders whose spans began more than {seconds} after they came, the worst first: a clock that is ahead. Recordings with
-- made-up times are not meant. `ahead` in seconds.
SELECT service, host, count() AS spans, max(dateDiff('second', ingested_at, started_at)) AS ahead
FROM steps FINAL
WHERE started_at > ingested_at + toIntervalSecond({seconds:UInt32}) AND clock != 'synthetic'
GROUP BY service, host
ORDER BY ahead DESC
LIMIT 5
