"""The evidence of a suspicion as data: what the finding page draws and `words` renders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import polars as pl

from driftline.analyzers.detectors.duplicate_effect.executions import Execution, Payloads
from driftline.analyzers.detectors.duplicate_effect.suspicion import Suspicion

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_SHOWN = 20  # executions listed in full; a loop may have thousands
_TEXT = 2_000  # characters of arguments and results


def evidence_of(suspicion: Suspicion, record: Record, payloads: Payloads) -> dict[str, Any]:
    """Executions with their parts, the chain of events in order, who repeated, and what it cost."""
    live = suspicion.live
    roles = {e.row: role_of(n) for n, e in enumerate(live)}
    members = sorted((*live[:_SHOWN], *suspicion.aside[:_SHOWN]), key=lambda e: e.order)
    names = {e.row: _name(e, members) for e in members}
    gap = gap_ms(live[0], live[1])
    return {
        "tool": live[0].tool,
        "subject": subject_of(suspicion),
        "times": len(live),
        "same_by": suspicion.same_by,
        "doubts": list(suspicion.doubts),
        "intent": dict(suspicion.intent),
        "gap_ms": gap,
        "in_order": live[0].ended_before(live[1]),
        "overlap": overlap(live[0], live[1]),
        "repeated_by": repeated_by(live, record),
        "executions": [_execution(e, suspicion, roles, payloads) for e in members],
        "chain": [
            {"trace_id": e.trace_id, "span_id": e.span_id, "tool": e.tool, "note": _note(e, suspicion, roles, names)}
            for e in suspicion.chain[: 2 * _SHOWN]
        ],
        "tokens_between": _tokens(live, record),
    }


def role_of(place: int) -> str:
    """`first`, `second`, …: the part of the live execution number *place*, from 0."""
    return _ORDINALS[place] if place < len(_ORDINALS) else f"repeat_{place + 1}"


def subject_of(suspicion: Suspicion) -> str:
    """What was acted on twice; the tool where no target is known."""
    targets = next((e.targets for e in suspicion.live if e.targets), ())
    return ", ".join(targets) or suspicion.live[0].tool


def gap_ms(one: Execution, other: Execution) -> float | None:
    """Milliseconds from the end of *one* to the start of *other*, where one host's real clock took both."""
    if not one.comparable(other) or one.status == "open":
        return None
    gap = (other.start_ns - one.end_ns) / 1e6
    return gap if gap >= 0 else None


def overlap(one: Execution, other: Execution) -> bool:
    """Whether *other* is known to have begun before *one* had ended."""
    if one.proc and one.proc == other.proc and one.seq_end is not None and other.seq is not None:
        return other.seq < one.seq_end
    return one.comparable(other) and other.start_ns < one.end_ns


def repeated_by(live: Sequence[Execution], record: Record) -> str:
    """Who made the second call: retry, redelivery, another run, another agent, the model, or the program."""
    one, other = live[0], live[1]
    if one.run != other.run:
        return "another run"
    if other.attempt_reason or (other.attempt or 1) > 1:
        return "a retry" + (f" after {other.attempt_reason}" if other.attempt_reason else "")
    if _delivered_twice(_receipt(one, record), _receipt(other, record), record):
        return "a message delivered twice"
    if one.trace_id != other.trace_id and one.call_id == other.call_id != "":
        return "a second trace of the run, as after a restart"
    if one.agent_instance != other.agent_instance:
        return f"a second agent ({other.agent})" if other.agent != one.agent else "a second turn of the agent"
    first, second = sorted((one.row, other.row))
    between = record.spans.filter(
        (pl.col("run") == one.run)
        & (pl.col("kind") == "llm")
        & (pl.col("agent_instance") == one.agent_instance)
        & pl.col("row").is_between(first, second, closed="none")
    )
    return "the model, which asked for it again" if between.height else "the program"


def _receipt(execution: Execution, record: Record) -> int:
    """The row of the receipt of the message in whose processing the execution ran; -1 if it ran in none."""
    row, parents = execution.row, record.tree.parent
    for _ in range(record.tree.size):
        if row < 0 or record.spans["kind"][row] == "process":
            return row
        row = int(parents[row])
    return -1


def _delivered_twice(one: int, other: int, record: Record) -> bool:
    """Whether two receipts, not one and the same, took the same message."""
    if one < 0 or other < 0 or one == other:
        return False
    first, second = (record.spans.row(row, named=True) for row in (one, other))
    if first["message_id"] or second["message_id"]:
        return bool((first["destination"], first["message_id"]) == (second["destination"], second["message_id"]))
    return bool(first["link_spans"]) and bool(first["link_spans"] == second["link_spans"])


def _tokens(live: Sequence[Execution], record: Record) -> int:
    """Tokens the run's models used from the end of the first execution to the end of the last."""
    if any(e.clock == "synthetic" for e in live) or live[0].run != live[-1].run:
        return 0
    used = record.spans.filter(
        (pl.col("run") == live[0].run)
        & (pl.col("kind") == "llm")
        & (pl.col("start_ns") >= live[0].end_ns)
        & (pl.col("end_ns") <= live[-1].end_ns)
    ).select(pl.col("tokens_input").fill_null(0).sum() + pl.col("tokens_output").fill_null(0).sum())
    return int(used.item() or 0)


def _name(execution: Execution, members: Sequence[Execution]) -> str:
    same = [e for e in members if e.tool == execution.tool]
    place = same.index(execution) + 1
    if execution.attempt is not None and len({e.attempt for e in same}) == len(same):
        return f"attempt {execution.attempt}"
    return f"execution {place}"


def _execution(execution: Execution, suspicion: Suspicion, roles: dict[int, str], payloads: Payloads) -> dict[str, Any]:
    by = suspicion.undone.get(execution.row)
    synthetic = execution.clock == "synthetic"
    return {
        "role": roles.get(execution.row, "undone" if by else execution.outcome),
        "trace_id": execution.trace_id,
        "span_id": execution.span_id,
        "tool": execution.tool,
        "agent": execution.agent,
        "service": execution.service,
        "run_id": execution.run,
        "attempt": execution.attempt,
        "call_id": execution.call_id,
        "key": execution.effect_key,
        "status": execution.status,
        "outcome": execution.outcome,
        "outcome_source": execution.outcome_source,
        "args_digest": execution.args_digest,
        "arguments": payloads.arguments(execution)[:_TEXT],
        "result": payloads.result(execution)[:_TEXT],
        "started_at": "" if synthetic else _rfc3339(execution.start_ns),
        "targets": list(execution.targets),
        "stays_live": execution.row in roles and execution.perhaps_applied and by is None,
        "undone_by": {"trace_id": by.trace_id, "span_id": by.span_id, "tool": by.tool} if by else None,
    }


def _note(execution: Execution, suspicion: Suspicion, roles: dict[int, str], names: dict[int, str]) -> str:
    by = suspicion.undone.get(execution.row)
    if by:
        return f"{names.get(execution.row, 'applied')}: {execution.outcome}, undone by {by.tool}"
    if execution.row in roles:
        return f"{names.get(execution.row, '')}: {execution.outcome}".lstrip(": ")
    undid = [names.get(row, "an earlier one") for row, by in suspicion.undone.items() if by.row == execution.row]
    if undid:
        return f"undoes {' and '.join(undid)}"
    return f"{names.get(execution.row, '')}: {execution.outcome}".lstrip(": ")


def _rfc3339(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
