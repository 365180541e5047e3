"""The executions this detector reasons about, as objects: few of them, chosen by set operations first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from driftline._redaction import REDACTED
from driftline.analyzers.effects import WRITES

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.record import Record


_ERROR_RESULT = re.compile(
    r"""\s*"?(error|exception|traceback|failed|failure|refused|denied|forbidden|invalid|cannot|unable)\b"""
    r"""|\s*\{\s*"(error|err|exception)"\s*:\s*(?!null|false|""|\{\}|\[\])|\s*\{\s*"(success|ok)"\s*:\s*false""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Execution:
    """One execution of a call (`analyzers.calls.executions`), with the host and conversation it ran in.

    `scopes`: the instrumentations that saw it. `in_replay`: a run or agent turn around it was played back. `turn`: it
    changes whenever the same tool did something else to the same targets.
    """

    row: int
    rows: tuple[int, ...]
    run: str
    trace_id: str
    span_id: str
    tool: str
    call_id: str
    attempt: int | None
    attempt_reason: str
    agent: str
    agent_instance: str
    service: str
    proc: str
    host: str
    clock: str
    seq: int | None
    seq_end: int | None
    start_ns: int
    end_ns: int
    status: str
    effect: str
    effect_source: str
    effect_key: str
    targets: tuple[str, ...]
    created: tuple[str, ...]
    outcome: str
    outcome_source: str
    args_digest: str
    compensates: str
    conversation: str
    sure: bool
    scopes: tuple[str, ...]
    in_replay: bool
    turn: int
    code_file: str
    code_line: int | None

    @property
    def applied(self) -> bool:
        """Whether it took effect, as far as is known."""
        return self.outcome == "applied"

    @property
    def perhaps_applied(self) -> bool:
        """Whether it may have taken effect."""
        return self.outcome in ("applied", "unknown")

    @property
    def proven(self) -> bool:
        """Whether the record itself says that this execution is a write and was applied: nothing is presumed."""
        return (
            self.sure
            and not self.in_replay
            and self.applied
            and self.outcome_source == "explicit"
            and self.effect_source in ("explicit", "catalogue")
        )

    @property
    def order(self) -> tuple[int, int]:
        """A total order that agrees with program order inside a process: start, then place in the record."""
        return (self.start_ns, self.row)

    def ended_before(self, other: Execution) -> bool:
        """Whether this execution is known to have ended before *other* began, by logical clock or one host's clock."""
        if self.proc and self.proc == other.proc and self.seq_end is not None and other.seq is not None:
            return self.seq_end < other.seq
        return self.comparable(other) and self.status != "open" and self.end_ns <= other.start_ns

    def comparable(self, other: Execution) -> bool:
        """Whether the wall clocks of both can be compared without a bound on their skew."""
        same = self.host == other.host if self.host or other.host else self.service == other.service
        return same and self.clock != "synthetic" and other.clock != "synthetic"


_NAMES = tuple(field.name for field in fields(Execution))


def calls_of(record: Record, config: Config) -> pl.DataFrame:
    """All executions of *record* with the columns of `Execution`, and `idempotent`, `replayed`, `result_digest`."""
    conversations = (
        record.spans.group_by("run")
        .agg(named=pl.col("conversation_id").filter(pl.col("conversation_id") != "").unique())
        .select("run", conversation=pl.when(pl.col("named").list.len() == 1).then(pl.col("named").list.first()))
    )
    calls = record.executions(config)
    hosts = record.spans.select("row", "host")
    return (
        _played_back(calls, record)
        .join(hosts, on="row", how="left", maintain_order="left")
        .join(_scopes(calls, record), on="row", how="left", maintain_order="left")
        .join(conversations, on="run", how="left", maintain_order="left")
        .with_columns(pl.col("conversation").fill_null(""))
    )


def _scopes(calls: pl.DataFrame, record: Record) -> pl.DataFrame:
    """By row of an execution, the instrumentations of all its layers."""
    layers = calls.select("row", layer="rows").explode("layer")
    said = layers.join(record.spans.select(layer="row", scope="scope"), on="layer", how="left")
    return said.group_by("row").agg(scopes=pl.col("scope").unique().sort())


def _played_back(calls: pl.DataFrame, record: Record) -> pl.DataFrame:
    """*calls*, of which those inside a call or step that was played back were played back themselves.

    A run or an agent turn that is played back may go on to do something new: what is inside is in doubt (`in_replay`).
    """
    spans, rows = record.spans, calls["row"].to_numpy()
    inside, around = (
        record.tree.nearest((spans["replayed"] & spans["kind"].is_in(kinds)).to_numpy(), strict=True)[rows] >= 0
        for kinds in (["tool", "step"], ["run", "agent"])
    )
    return calls.with_columns(
        replayed=pl.col("replayed") | pl.Series(inside, dtype=pl.Boolean), in_replay=pl.Series(around, dtype=pl.Boolean)
    )


def writes_of(calls: pl.DataFrame) -> pl.DataFrame:
    """The executions whose repeat would do something again: no reads, no replays, nothing idempotent."""
    writes = calls.filter(
        pl.col("effect").is_in(WRITES) & ~pl.col("replayed") & ~pl.col("idempotent").fill_null(value=False)
    )
    return writes.join(_turns(writes), on="row", how="left", maintain_order="left").with_columns(
        pl.col("turn").fill_null(0)
    )


def _turns(writes: pl.DataFrame) -> pl.DataFrame:
    """By row of a write, how often its tool had changed its mind about its targets by then.

    On, off, on: the third is no repeat of the first. Where one clock does not order them, any may lie between others.
    """
    same = ("run", "tool", "on")
    acted = (
        writes.filter(
            (pl.col("targets").list.len() > 0)
            & (pl.col("args_digest") != "")
            & pl.col("outcome").is_in(["applied", "unknown"])
        )
        .with_columns(on=pl.col("targets").list.sort().list.join("\x1f"))
        .sort("start_ns", "row")
    )
    changed = (pl.col("args_digest") != pl.col("args_digest").shift(1)).fill_null(value=False)
    one_clock = (pl.col("host").n_unique() == 1).over(same)
    several = (pl.col("args_digest").n_unique() > 1).over(same)
    return acted.select(
        "row",
        turn=pl.when(several & ~one_clock).then("row").when(several).then(changed.cum_sum().over(same)).otherwise(0),
    )


def objects(calls: pl.DataFrame) -> list[Execution]:
    """The rows of *calls* as executions, in order."""
    known = [name for name in _NAMES if name in calls.columns]
    return sorted((_execution(row) for row in calls.select(known).iter_rows(named=True)), key=lambda e: e.order)


def targets_differ(one: Execution, other: Execution) -> bool:
    """Whether both name what they act on, and not the same."""
    return bool(one.targets and other.targets and set(one.targets) != set(other.targets))


def perhaps_one_call(one: Execution, other: Execution) -> bool:
    """Whether both may be one call, seen by two instrumentations that know nothing of each other."""
    if set(one.scopes) & set(other.scopes) or (one.attempt and other.attempt and one.attempt != other.attempt):
        return False
    same_process = bool(one.proc) and one.proc == other.proc
    return not (same_process and (one.ended_before(other) or other.ended_before(one)))


def in_order(executions: Iterable[Execution]) -> list[Execution]:
    """*executions* by order of start."""
    return sorted(executions, key=lambda e: e.order)


class Payloads:
    """Arguments and results of executions as text, read in batches and only where a verdict or its text needs them."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._known: dict[int, tuple[str, str]] = {}

    def load(self, executions: Iterable[Execution]) -> None:
        """Read what is not known yet of *executions*, in one query."""
        wanted = {layer: e.row for e in executions if e.row not in self._known for layer in e.rows}
        if not wanted:
            return
        self._known.update(dict.fromkeys(wanted.values(), ("", "")))
        for layer, arguments, result in self._record.payloads(sorted(wanted)).iter_rows():
            known = self._known[wanted[layer]]
            self._known[wanted[layer]] = (known[0] or arguments, known[1] or result)

    def arguments(self, execution: Execution) -> str:
        """The arguments as captured; '' where they were not."""
        self.load([execution])
        return self._known[execution.row][0]

    def result(self, execution: Execution) -> str:
        """The result as captured; '' where it was not."""
        self.load([execution])
        return self._known[execution.row][1]

    def corrected(self, executions: list[Execution]) -> list[Execution]:
        """*executions*, of which those count as failed whose status says nothing but whose result is an error text.

        Frameworks hand a tool's error to the model as its result and leave the status unset.
        """
        presumed = [e for e in executions if e.applied and e.outcome_source == "status"]
        self.load(presumed)
        failed = {e.row for e in presumed if self._is_error(e)}
        return [replace(e, outcome="failed") if e.row in failed else e for e in executions]

    def _is_error(self, execution: Execution) -> bool:
        return bool(_ERROR_RESULT.match(self.result(execution)))

    def redacted(self, execution: Execution) -> bool:
        """Whether something was taken from the arguments or the result before they were stored."""
        return any(REDACTED.search(text) for text in (self.arguments(execution), self.result(execution)))

    def names_new(self, execution: Execution, entity: str) -> bool:
        """Whether the result names *entity* (`kind/id`) and the arguments do not: the call brought it into being."""
        name = re.compile(r"(?<![\w-])" + re.escape(entity.rpartition("/")[2]) + r"(?![\w-])")
        return bool(name.search(self.result(execution))) and not name.search(self.arguments(execution))


def _execution(row: dict[str, Any]) -> Execution:
    lists = {name: tuple(row[name]) for name in ("rows", "targets", "created", "scopes")}
    return Execution(**{"turn": 0, **row, **lists})
