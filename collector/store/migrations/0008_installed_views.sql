-- The text, by hash, of each generated view as it was last installed (see views.py).
CREATE TABLE IF NOT EXISTS installed_views
(
    name String,
    text_hash String,
    installed_at DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY name
