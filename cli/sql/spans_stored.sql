-- How many spans are stored, and when the last one came ('' = never).
SELECT count() AS spans, if(spans = 0, '', toString(max(ingested_at))) AS last FROM steps FINAL
