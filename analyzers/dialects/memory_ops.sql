-- otel_traces -> memory_ops: one row a key read, written or deleted. Generated parts as in steps.sql.
CREATE MATERIALIZED VIEW canonical_memory_ops TO memory_ops AS
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    place - 1 AS position,
    what AS op,
    $field(memory_store) AS store,
    record_keys[place] AS key,
    said_versions[place] AS version,
    said_kind AS version_kind,
    $list($field(memory_parents)) AS parents,
    what IN ('write', 'delete') AND NOT has(keys, 'driftline.memory.parents') AS blind,
    said_ordinals[place] AS ordinal,
    said_digests[place] AS digest,
    multiIf(
        what NOT IN ('write', 'delete'), '',
        said_status != '', said_status,
        StatusCode = 'Error', 'unknown',
        'committed') AS status,
    toInt64OrNull($field(memory_epoch)) AS epoch,
    $field(memory_watermark) AS watermark,
    Timestamp AS started_at,
    RowVersion AS row_version,
    IngestedAt AS ingested_at
FROM
(
    SELECT
        *,
        if(notEmpty(said_keys), said_keys, if($field(memory_record) != '', [$field(memory_record)], [])) AS record_keys,
        multiIf(
            word IN ('create_memory', 'update_memory', 'upsert_memory'), 'write',
            word = 'delete_memory', 'delete',
            word IN ('search_memory', 'retrieval'), 'search',
            'read') AS what,
        $list($field(memory_versions)) AS said_versions,
        lower($field(memory_version_kind)) AS said_kind,
        JSONExtract($field(memory_ordinals), 'Array(Nullable(Int64))') AS said_ordinals,
        $list($field(memory_digests)) AS said_digests,
        lower($field(memory_status)) AS said_status
    FROM
    (
        SELECT *, $field(operation) AS word, $list($field(memory_keys)) AS said_keys
        FROM
        (
            SELECT *, $slots AS slots, $dialect AS found_dialect
            FROM
            (
                SELECT
                    *, mapKeys(SpanAttributes) AS keys, arrayMap(v -> $clean(v), mapValues(SpanAttributes)) AS vals
                FROM otel_traces
            )
        )
    )
)
ARRAY JOIN arrayEnumerate(record_keys) AS place
WHERE $field(pending) != 'true' AND $field(not_a_span) = ''
