"""Which part of the store is looked at, and the SQL that narrows every read to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from driftline.collector.store import read_sql

# A subquery over the array: beyond some ten thousand ids ClickHouse takes minutes for `IN` an array itself.
_WHERE = (
    "(empty({traces:Array(String)}) OR trace_id IN (SELECT arrayJoin({traces:Array(String)})))"
    " AND started_at >= {since:DateTime64(9, 'UTC')} AND started_at < {until:DateTime64(9, 'UTC')}"
)
_FIRST = "1970-01-01 00:00:00"
_LAST = "2262-01-01 00:00:00"


@dataclass(frozen=True)
class Scope:
    """A time window over span starts and, if *traces* is not empty, only those traces.

    None is open; a moment that names no zone is UTC.
    """

    since: datetime | None = None
    until: datetime | None = None
    traces: tuple[str, ...] = ()

    def params(self) -> dict[str, Any]:
        """Values of the placeholders that `scoped` puts into a statement."""
        return {
            "since": _text(self.since) if self.since else _FIRST,
            "until": _text(self.until) if self.until else _LAST,
            "traces": list(self.traces),
        }


def scoped(package: str, name: str) -> str:
    """The statement in *name*, with `$steps`, `$memory_ops` and `$span_facts` standing for the rows in scope."""
    return expand(read_sql(package, name))


def expand(statement: str) -> str:
    """As `scoped`, for a statement already read.

    Steps and memory operations: one row a span and key. Span facts: what log records add, one row a span.
    """
    for table in ("steps", "memory_ops"):
        statement = statement.replace(f"${table}", f"(SELECT * FROM {table} FINAL WHERE {_WHERE})")
    return statement.replace("$span_facts", read_sql(__package__ or "", "sql/span_facts.sql"))


def _text(moment: datetime) -> str:
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
