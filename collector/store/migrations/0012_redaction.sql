-- Which rules of redaction were put in force, as JSON, and when; the newest row counts. `key_id` tells apart the keys
-- that hashes are made with; the key itself is not here.
CREATE TABLE IF NOT EXISTS redaction
(
    rules String,
    key_id String,
    set_at DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY set_at
