"""What a waterfall row says: name, kind, agent, marks. Built only for rows that are sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from driftline.web.formats import clip
from driftline.web.waterfall import Row, Waterfall

_LONGEST = 200
_SAID_BY_ICON = {
    "run": ("invoke_workflow",),
    "agent": ("invoke_agent", "create_agent"),
    "step": ("step",),
    "tool": ("execute_tool",),
    "llm": ("chat", "text_completion", "generate_content"),
    "validation": ("validate",),
    "process": ("process",),
}


@dataclass(frozen=True)
class Mark:
    """A finding that rests on this span: its number on the page, the span's part in it."""

    number: int
    role: str
    severity: str
    title: str


@dataclass(frozen=True)
class RowView:
    """One row, ready to be drawn: the layout (`at`) and what the span says. `notes` are short words with a tone."""

    at: Row
    trace_id: str
    span_id: str
    name: str
    label: str
    kind: str
    agent: str
    service: str
    status: str
    pending: bool
    detail: str
    notes: tuple[tuple[str, str], ...]
    marks: tuple[Mark, ...]


def describe(waterfall: Waterfall, rows: Sequence[Row], marks: Mapping[int, Sequence[Mark]]) -> list[RowView]:
    """*rows* of *waterfall* with what their spans say; *marks* are findings by span row."""
    spans = waterfall.spans
    told = spans[[row.row for row in rows]].to_dicts() if rows else []
    wanted = sorted({member for row in rows for member in row.members})
    attempts = dict(zip(wanted, spans[wanted].to_dicts(), strict=True)) if wanted else {}
    one_service = spans["service"].n_unique() == 1
    views = []
    for row, span in zip(rows, told, strict=True):
        folded = bool(row.fold)
        views.append(
            RowView(
                at=row,
                trace_id=span["trace_id"],
                span_id=span["span_id"],
                name=clip(span["name"], _LONGEST),
                label=clip(_label(span), _LONGEST),
                kind=span["kind"],
                agent=clip(span["agent"], _LONGEST),
                service="" if one_service else clip(span["service"], _LONGEST),
                status=_status(row, span, attempts),
                pending=bool(span["pending"]) and not folded,
                detail="" if folded else clip(_detail(span), _LONGEST),
                notes=_fold_notes(row, attempts) if folded else tuple(_notes(span)),
                marks=() if folded else tuple(marks.get(row.row, ())),
            )
        )
    return views


def _status(row: Row, span: Mapping[str, object], attempts: Mapping[int, Mapping[str, object]]) -> str:
    if row.fold == "call":
        return str(attempts[row.members[-1]]["status"])
    if row.fold:
        return "error" if row.errors else "ok"
    return str(span["status"])


def _detail(span: Mapping[str, object]) -> str:
    if span["kind"] == "llm" and (span["tokens_input"] or span["tokens_output"]):
        return f"{span['tokens_input'] or 0} → {span['tokens_output'] or 0} tokens"
    return ""


def _label(span: Mapping[str, object]) -> str:
    """The span's name without what its icon says already: `execute_tool book` reads `book`."""
    name, kind = str(span["name"]), str(span["kind"])
    if kind == "memory" and span["touched"]:
        return f"{name.partition('_')[0]} {span['touched']}"
    first, _, rest = name.partition(" ")
    return rest if rest and first in _SAID_BY_ICON.get(kind, ()) else name


def _notes(span: Mapping[str, object]) -> list[tuple[str, str]]:
    notes: list[tuple[str, str]] = []
    if span["attempt"]:
        of = f"/{span['attempt_max']}" if span["attempt_max"] else ""
        if of or int(str(span["attempt"])) > 1:
            notes.append((f"attempt {span['attempt']}{of}", ""))
    if span["effect"] in ("write", "destructive"):
        outcome = str(span["effect_outcome"])
        notes.append((outcome or str(span["effect"]), "effect" if outcome in ("", "applied") else ""))
    if span["status"] == "error":
        notes.append((f"✕ {span['error_type'] or 'error'}", "error"))
    if span["replayed"]:
        notes.append(("replayed", ""))
    if span["pending"]:
        notes.append(("not ended", "warn"))
    if span["write_status"] not in ("", "committed"):
        notes.append((str(span["write_status"]).replace("_", " "), "warn"))
    if span["outcome"]:
        notes.append((f"says {span['outcome']}", ""))
    if span["validation_verdict"]:
        notes.append((str(span["validation_verdict"]), "warn" if span["validation_verdict"] != "pass" else ""))
    return notes


def _fold_notes(row: Row, attempts: Mapping[int, Mapping[str, object]]) -> tuple[tuple[str, str], ...]:
    if row.fold == "more":
        return ()
    if row.fold == "same":
        return ((f"\u00d7{row.children}", ""),)
    how = [_attempt_end(attempts[member]) for member in row.members]
    if len(how) > 4:
        counted = Counter(how)
        told = ", ".join(f"{count}\u00d7 {word}" for word, count in counted.most_common())
    else:
        told = " → ".join(how)
    return ((f"{len(how)} attempts", ""), (told, "warn" if "error" in {w.partition(":")[0] for w in how} else ""))


def _attempt_end(span: Mapping[str, object]) -> str:
    if span["effect_outcome"]:
        return str(span["effect_outcome"])
    if span["status"] == "error":
        return str(span["error_type"]) or "error"
    return "not ended" if span["pending"] else "ok"


def rows_by_span(spans: pl.DataFrame) -> dict[tuple[str, str], int]:
    """The row number of each span by (trace id, span id)."""
    return {key: row for row, key in enumerate(zip(spans["trace_id"], spans["span_id"], strict=True))}
