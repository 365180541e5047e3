-- otel_logs_inbox -> otel_logs: log records without what the rules of redaction take. As redacted_spans.sql. The hash of
-- a record is made anew with the key: from the old one its text could be guessed.
CREATE MATERIALIZED VIEW redacted_logs TO otel_logs AS
SELECT * EXCEPT ($helpers) REPLACE ($columns, $number AS RecordHash)
FROM (SELECT *, $stages FROM (SELECT *, $found AS found, found OR $named AS touched FROM otel_logs_inbox))
