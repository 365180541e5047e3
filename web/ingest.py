"""What arrived, as people read it: the collector's counters, those that say something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from driftline.web.formats import compact, number

# Always worth showing; everything else only when it is not nothing.
_ALWAYS = (("received", "Requests"), ("acknowledged", "Spans acknowledged"))
_WHEN_ANY = (
    ("rejected", "Spans left out, for want of valid ids"),
    ("repeated", "Requests sent twice, and taken once"),
    ("lost", "Spans lost, as somebody deleted their part of the log"),
    ("waiting_segments", "Batches waiting for the store"),
)


@dataclass(frozen=True)
class Fact:
    """One line of the panel. *bad*: somebody should look into it."""

    name: str
    text: str
    bad: bool = False


def facts(counters: Mapping[str, Any]) -> tuple[Fact, ...]:
    """The counters of a collector (`collector.Stats`) that are worth a line."""
    found = [Fact(label, number(counters[key])) for key, label in _ALWAYS if key in counters]
    found += [
        Fact(label, number(counters[key]), bad=key not in ("waiting_segments", "repeated"))
        for key, label in _WHEN_ANY
        if counters.get(key)
    ]
    if counters.get("dead_letters"):
        newest = counters.get("newest_dead_letter")
        said = f"{number(counters['dead_letters'])} (the newest: {newest}; see `driftline dead-letters list`)"
        found.append(Fact("Batches set aside, refused by ClickHouse", said, bad=True))
    if counters.get("log_bytes"):
        found.append(Fact("In the write-ahead log", f"{compact(counters['log_bytes'])}B"))
    refused = {reason: count for reason, count in (counters.get("refused") or {}).items() if count}
    if refused:
        said = ", ".join(f"{number(count)} ({reason})" for reason, count in sorted(refused.items()))
        found.append(Fact("Requests refused", said, bad=True))
    if counters.get("trouble"):
        found.append(Fact("Trouble", str(counters["trouble"]), bad=True))
    return tuple(found)
