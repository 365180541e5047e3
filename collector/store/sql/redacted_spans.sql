-- otel_traces_inbox -> otel_traces: spans without what the rules of redaction take (redacted_views.py). $touched: whether
-- there is anything to be done for a row at all; $stages: what its columns become; $columns: each in its place.
CREATE MATERIALIZED VIEW redacted_spans TO otel_traces AS
SELECT * EXCEPT ($helpers) REPLACE ($columns)
FROM (SELECT *, $stages FROM (SELECT *, $touched AS touched FROM otel_traces_inbox))
