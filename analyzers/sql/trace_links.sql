-- Pairs of different traces that belong together: by span link, or by one message sent in the one and taken in the other.
SELECT DISTINCT trace_id, other
FROM
(
    SELECT trace_id, arrayJoin(link_traces) AS other FROM $steps WHERE notEmpty(link_traces)
    UNION ALL
    SELECT taken.trace_id AS trace_id, sent.trace_id AS other
    FROM (SELECT trace_id, destination, message_id FROM $steps WHERE kind = 'process' AND message_id != '') AS taken
    INNER JOIN (SELECT trace_id, destination, message_id FROM $steps WHERE kind = 'send' AND message_id != '') AS sent
        ON sent.destination = taken.destination AND sent.message_id = taken.message_id
)
WHERE trace_id != other
