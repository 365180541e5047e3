"""Keeping a store in order: its size, its merges, how long rows are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftline.collector.store import Store

# The tables that hold rows by time, and when a row came. Not when its span was: clocks may say anything, and what was
# imported today is not kept for its age.
_SPANS = {
    "otel_traces": "IngestedAt",
    "otel_logs": "IngestedAt",
    "steps": "ingested_at",
    "memory_ops": "ingested_at",
    "span_facts": "ingested_at",
    "run_parts": "last_span_at",
}
_CONCLUSIONS = {
    "runs": "analysed_at",
    "run_traces": "resolved_at",
    "findings": "analysed_at",
    "not_checked": "analysed_at",
}
TABLES = (*_SPANS, *_CONCLUSIONS)

_DURATION = re.compile(r"(\d{1,5})\s*(d|w|m|y)?")
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365, None: 1}


class InvalidRetention(DriftlineError):
    """A time to keep rows for that is none."""


@dataclass(frozen=True)
class Retention:
    """How many days *spans* (and logs) are kept, and *findings* (with runs); None: for ever."""

    spans: int | None = None
    findings: int | None = None


def parse_days(text: str) -> int | None:
    """Days in `30d`, `6w`, `3m` (of 30 days), `1y` (of 365) or `90`; None for `forever`.

    Raises:
        InvalidRetention: it is none of these.
    """
    word = text.strip().lower()
    if word in ("forever", "never"):
        return None
    match = _DURATION.fullmatch(word)
    if match is None or not int(match[1]):
        raise InvalidRetention(f"{text!r} is no time to keep spans for", "write it as 30d, 6w, 3m, 1y or forever")
    return int(match[1]) * _DAYS[match[2]]


def retention_of(store: Store) -> Retention:
    """What is in force."""
    found = days_by_table(store)
    return Retention(found.get("otel_traces"), found.get("findings"))


def apply_retention(store: Store, wanted: Retention) -> bool:
    """Let ClickHouse delete rows by itself when their time is over; true if that is something new.

    A row's time counts from when it came. What is due now goes in the background, at once; what becomes due later goes
    when ClickHouse merges, which it does for that every four hours, or by `compact`. Rows are deleted one by one, not
    when a whole part is due: a part may hold a month, so spans would stay up to a month longer than was promised.
    Rewriting takes about a second for a million rows; a part whose rows are all due is dropped without being read.

    Raises:
        InvalidRetention: findings would go before the spans that prove them.
    """
    if wanted.findings is not None and (wanted.spans is None or wanted.findings < wanted.spans):
        raise InvalidRetention(
            "findings would be deleted before the spans that prove them", "keep findings at least as long as spans"
        )
    in_force = days_by_table(store)
    changed = False
    for tables, days in ((_SPANS, wanted.spans), (_CONCLUSIONS, wanted.findings)):
        for table, moment in tables.items():
            if in_force.get(table) == days:
                continue
            changed = True
            if days is None:
                store.command(f"ALTER TABLE {table} REMOVE TTL")
            else:
                # Parts must learn of it: one that knows another time, or none, is not even looked at by merges.
                store.command(
                    f"ALTER TABLE {table} MODIFY TTL toDateTime({moment}) + toIntervalDay({days}) "
                    "SETTINGS materialize_ttl_after_modify = 1, mutations_sync = 0"
                )
    return changed


def tables_out_of_step(store: Store) -> list[str]:
    """Tables whose rows are kept for another time than those of their kind, as after a crash amid a change."""
    kept, in_force = retention_of(store), days_by_table(store)
    return [
        table
        for tables, days in ((_SPANS, kept.spans), (_CONCLUSIONS, kept.findings))
        for table in tables
        if in_force.get(table) != days
    ]


def days_by_table(store: Store) -> dict[str, int]:
    """Days by table, of those that have a time to live."""
    found = store.rows("SELECT name, create_table_query AS said FROM system.tables WHERE database = currentDatabase()")
    matches = {row["name"]: re.search(r" TTL .*?toIntervalDay\((\d+)\)", row["said"]) for row in found}
    return {name: int(match[1]) for name, match in matches.items() if match}


def compact(store: Store, say: Callable[[str], None]) -> dict[str, Any]:
    """Merge every partition of every table to one part and delete what is due; rows and bytes before and after."""
    before = sizes(store)
    for table in before:
        for part in store.rows(_PARTITIONS, {"table": table}):
            say(f"{table} {part['partition']}: {part['parts']} parts, {part['bytes'] / 2**20:,.1f} MiB")
            store.command(f"OPTIMIZE TABLE {table} PARTITION ID '{part['partition_id']}' FINAL")
    after = sizes(store)
    return {"before": before, "after": after}


_PARTITIONS = """
SELECT partition_id, any(partition) AS partition, count() AS parts, sum(bytes_on_disk) AS bytes
FROM system.parts
WHERE active AND database = currentDatabase() AND table = {table:String}
GROUP BY partition_id ORDER BY partition_id
"""


def sizes(store: Store) -> Mapping[str, dict[str, int]]:
    """Rows, bytes and parts on disk, by table."""
    return {
        row["table"]: {"rows": row["rows"], "bytes": row["bytes"], "parts": row["parts"]}
        for row in store.rows(
            "SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes, count() AS parts FROM system.parts "
            "WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
        )
    }
