-- Traces of runs in which something may be missing. A superset: who promised what, and whether anything made up for a
-- failure, is decided later.
WITH
    -- What is certain to keep a promise, by run: nothing that a catalogue, a layer or a replay could put in doubt.
    kept AS
    (
        SELECT DISTINCT run_id, multiIf(
            kind = 'tool', concat('tool:', tool),
            kind = 'step', concat('step:', step_name),
            kind = 'agent', concat('agent:', agent),
            kind = 'validation', concat('validate:', validation),
            concat('send:', destination)) AS promise
        FROM $steps
        WHERE run_id != '' AND kind IN ('tool', 'step', 'agent', 'validation', 'send')
            AND status != 'error' AND NOT pending AND NOT result_error AND outcome NOT IN ('failed', 'cancelled')
            AND effect_outcome != 'refused' AND validation_verdict IN ('', 'pass')
            AND (kind != 'tool' OR effect_outcome = 'applied')
    ),
    -- Destinations with a message that nothing in scope is linked to or names: their other messages tell how long
    -- they usually take.
    waiting AS
    (
        SELECT DISTINCT destination FROM $steps
        WHERE kind = 'send'
            AND (trace_id, span_id) NOT IN
                (SELECT arrayJoin(arrayZip(link_traces, link_spans)) FROM $steps WHERE kind = 'process')
            AND (destination, message_id) NOT IN
                (SELECT destination, message_id FROM $steps WHERE kind = 'process' AND message_id != '')
    )
SELECT trace_id FROM
(
    SELECT trace_id, run_id, kind, arrayJoin(expects) AS promise FROM $steps WHERE notEmpty(expects)
)
WHERE kind != 'run' OR (run_id, promise) NOT IN (SELECT run_id, promise FROM kept)
UNION DISTINCT
SELECT trace_id FROM $steps
WHERE status = 'error' OR result_error OR pending OR outcome IN ('failed', 'cancelled') OR validation_verdict = 'error'
UNION DISTINCT
SELECT trace_id FROM $steps WHERE kind IN ('send', 'process') AND destination IN (SELECT destination FROM waiting)
UNION DISTINCT
SELECT trace_id FROM
(
    SELECT trace_id, finish_reasons AS reasons, false AS silent FROM $steps WHERE kind = 'llm'
    UNION ALL
    SELECT of_trace, logged_reasons, ifNull(logged_empty, false) FROM $span_facts
)
WHERE silent OR arrayExists(
    reason -> match(reason, '(?i)length|max_?(output_)?tokens|content_?filter|safety|recitation|blocklist|prohibited|incomplete'),
    reasons)
UNION DISTINCT
SELECT trace_id FROM $steps
WHERE kind = 'tool' AND isNotNull(result_empty) AND tool IN (SELECT tool FROM $steps WHERE kind = 'tool' AND result_empty)
UNION DISTINCT
SELECT trace_id FROM $steps
WHERE kind = 'agent' AND isNotNull(result_empty) AND agent IN (SELECT agent FROM $steps WHERE kind = 'agent' AND result_empty)
UNION DISTINCT
-- Processes whose logical clock has a gap: a span that others name as their parent may never have come.
SELECT trace_id FROM $steps
WHERE seq IS NOT NULL AND instance IN
(
    SELECT instance FROM $steps WHERE isNotNull(seq) AND instance != ''
    GROUP BY instance
    HAVING count() + countIf(isNotNull(seq_end)) < greatest(max(seq), max(ifNull(seq_end, 0)))
)
