"""How numbers, durations and moments read on a page: the Jinja filters."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_NARROW = "\u202f"
_JUST_NOW = 5


def duration(nanos: float | None) -> str:
    """A length of time, to three figures: `1.24 s`, `3 min 20 s`, `2 h 5 min`; '' for None."""
    if nanos is None:
        return ""
    seconds = nanos / 1e9
    if seconds >= 86_400:
        return _two(seconds, 86_400, "d", 3600, "h")
    if seconds >= 3600:
        return _two(seconds, 3600, "h", 60, "min")
    if seconds >= 60:
        return _two(seconds, 60, "min", 1, "s")
    for size, unit in _UNITS:
        if nanos >= size:
            return f"{nanos / size:.3g}{_NARROW}{unit}" if nanos / size < 100 else f"{nanos / size:.0f}{_NARROW}{unit}"
    return f"0{_NARROW}s"


def _two(seconds: float, size: int, unit: str, small: int, small_unit: str) -> str:
    whole, rest = divmod(round(seconds / small), size // small)
    return f"{whole}{_NARROW}{unit}" + (f" {rest}{_NARROW}{small_unit}" if rest else "")


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago *moment* was, roughly."""
    if moment is None:
        return "never"
    seconds = (now - utc(moment)).total_seconds()
    if seconds < _JUST_NOW:
        return "just now" if seconds > -_JUST_NOW else "in the future"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f}{_NARROW}{unit} ago"
    return f"{seconds:.0f}{_NARROW}s ago"


def number(value: float | None) -> str:
    """A count with groups of three: `30 000`."""
    return "" if value is None else f"{value:,.0f}".replace(",", _NARROW)


def compact(value: float) -> str:
    """A count in few characters: `1.2k`, `3.4M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def percent(share: float) -> str:
    """A share of 1 as percent; what is not nothing never reads 0 %, what is not all never 100 %."""
    hundred = share * 100
    if 0 < hundred < 0.1:
        return f"<0.1{_NARROW}%"
    if 99.9 < hundred < 100:
        return f">99.9{_NARROW}%"
    return f"{hundred:.3g}{_NARROW}%"


def plural(count: float, word: str, many: str = "") -> str:
    """`1 run`, `2 runs`."""
    return f"{number(count)} {word if count == 1 else many or word + 's'}"


def moment(value: datetime) -> str:
    """A moment in UTC as people read it; a script adds the reader's own zone."""
    return utc(value).strftime("%Y-%m-%d %H:%M:%S")


def rfc3339(value: datetime) -> str:
    """A moment in UTC as machines read it, to the millisecond."""
    return utc(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(value: datetime) -> datetime:
    """*value* in UTC; what names no zone is in UTC already."""
    return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)


def from_nanos(nanos: int) -> datetime:
    """The moment *nanos* after the epoch."""
    return datetime.fromtimestamp(nanos / 1e9, timezone.utc)


def clip(text: str, most: int = 80) -> str:
    """*text*, cut to *most* characters with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def short_id(text: str) -> str:
    """The first 8 characters of a generated id; a name somebody chose stays."""
    is_generated = len(text) >= 16 and all(c in "0123456789abcdefABCDEF-" for c in text)
    return text[:8] if is_generated else clip(text, 40)


def words(name: str) -> str:
    """A name of the catalogue as words: `missing_step` → `missing step`."""
    return name.replace("_", " ")


def pretty(value: Any) -> str:
    """A JSON value, indented; text that is JSON itself likewise, any other text as it is."""
    if isinstance(value, str):
        if not value.lstrip().startswith(("{", "[")):
            return value
        try:
            return pretty(json.loads(value))
        except ValueError:
            return value
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


FILTERS = {
    "duration": duration,
    "ago": ago,
    "number": number,
    "compact": compact,
    "percent": percent,
    "plural": plural,
    "moment": moment,
    "rfc3339": rfc3339,
    "clip": clip,
    "short_id": short_id,
    "words": words,
    "pretty": pretty,
}
