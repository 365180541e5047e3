-- Which findings the store holds, by fingerprint. Expected: as many rows as there are defects.
SELECT DISTINCT fingerprint FROM findings FINAL WHERE NOT retracted
