-- How many spans came more than {days} days ago.
SELECT count() AS spans FROM otel_traces FINAL WHERE IngestedAt < now64(3) - toIntervalDay({days:UInt32})
