-- otel_traces_inbox -> otel_traces: spans without what the rules of redaction take (redacted_views.py). $found: whether
-- a row's texts hold anything that a rule means; $named: whether its keys do; $stages: what its columns become; $columns: each in its place.
CREATE MATERIALIZED VIEW redacted_spans TO otel_traces AS
SELECT * EXCEPT ($helpers) REPLACE ($columns)
FROM (SELECT *, $stages FROM (SELECT *, $found AS found, found OR $named AS touched FROM otel_traces_inbox))
