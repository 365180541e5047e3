"""Which executions were undone by a compensation: an effect that was taken back is not in the world any more."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.detectors.duplicate_effect.executions import Execution, Payloads, objects
from driftline.analyzers.detectors.duplicate_effect.losses import Losses
from driftline.analyzers.finding import Severity

if TYPE_CHECKING:
    from driftline.analyzers.catalogue import Catalogue
    from driftline.analyzers.record import Record

_UNDOING_NAME = (
    r"(?i)(^|_|\b)(cancel|refund|undo|revert|void|rollback|roll_back|reverse|release|compensate|withdraw|retract)"
    r"(_|[A-Z]|$|\b)"
)


@dataclass
class Undone:
    """`by`: row of an undone execution -> what undid it. `doubtful`: rows that something may have undone.

    `unseen`: rows of both kinds whose compensation could get lost without a trace. That the effect was applied twice
    is proved with and without it, so it lowers the harm of a finding and not its grade.
    """

    by: dict[int, Execution] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    unseen: set[int] = field(default_factory=set)

    def clearly(self, execution: Execution) -> bool:
        """Whether *execution* was, or may have been, undone by something whose loss would show."""
        return execution.row in (self.by.keys() | self.doubtful) - self.unseen

    def severity(self, executions: Iterable[Execution]) -> Severity | None:
        """How much harm is left of *executions* that all took effect; None: all of it."""
        rows = [e.row for e in executions]
        if sum(row not in self.by for row in rows) < 2:
            return "info"
        return "warning" if self.doubtful.intersection(rows) else None


class Compensations:
    """The compensations of a record, found by run and by the call they name."""

    def __init__(
        self,
        record: Record,
        calls: pl.DataFrame,
        suspected: Sequence[Execution],
        catalogue: Catalogue,
        payloads: Payloads,
    ) -> None:
        runs = {e.run for e in suspected}
        self._payloads = payloads
        self._losses = Losses(record)
        self._undoes = {name: frozenset(tool.compensates) for name, tool in catalogue.tools.items() if tool.compensates}
        undoing = calls.filter(
            ~pl.col("replayed")
            & pl.col("outcome").is_in(["applied", "unknown"])
            & (
                (pl.col("compensates") != "")
                | (
                    pl.col("run").is_in(list(runs))
                    & (
                        (pl.col("effect") == "destructive")
                        | pl.col("tool").is_in(list(self._undoes))
                        | pl.col("tool").str.contains(_UNDOING_NAME)
                    )
                )
            )
        )
        known = calls.select("run", "call_id").filter(pl.col("call_id") != "").unique()
        elsewhere = undoing.join(known, left_on=["run", "compensates"], right_on=["run", "call_id"], how="anti")
        self._elsewhere = set(elsewhere["row"].to_list())
        of_runs = calls.filter(pl.col("run").is_in(undoing["run"].unique().to_list()))
        others = of_runs.join(undoing, on="row", how="anti").select("run", "targets").explode("targets")
        self._acted_on = set(others.drop_nulls().rows())
        self._by_run: dict[str, list[Execution]] = defaultdict(list)
        self._by_call: dict[str, list[Execution]] = defaultdict(list)
        for execution in objects(undoing):
            if execution.compensates:
                self._by_call[execution.compensates].append(execution)
            else:
                self._by_run[execution.run].append(execution)
        nameless = [compensation for found in self._by_run.values() for compensation in found]
        payloads.load([*nameless, *(e for e in suspected if e.run in self._by_run)])

    def of(self, executions: Sequence[Execution]) -> Undone:
        """What of *executions*, members of one run's group, was undone. Each compensation undoes one of them."""
        found = Undone()
        for call_id in {e.call_id for e in executions if e.call_id}:
            for compensation in self._by_call.get(call_id, ()):
                self._take(compensation, [e for e in executions if self._names(compensation, e)], executions, found)
        for run in {e.run for e in executions}:
            for compensation in self._by_run.get(run, ()):
                of_run = [e for e in executions if e.run == run]
                if compensation.targets:
                    self._take_by_target(compensation, of_run, found)
                else:
                    self._doubt(compensation, self._perhaps_unnamed(compensation, of_run), executions, found)
        return found

    def _names(self, compensation: Execution, execution: Execution) -> bool:
        if compensation.row == execution.row or compensation.compensates != execution.call_id:
            return False
        return compensation.run == execution.run or compensation.row in self._elsewhere

    def _take_by_target(self, compensation: Execution, executions: list[Execution], found: Undone) -> None:
        later = self._perhaps_before(compensation, executions)
        created = [e for e in later if self._created(e, compensation)]
        same = [e for e in later if set(e.targets) & set(compensation.targets)]
        declared = [e for e in same if e.tool in self._undoes.get(compensation.tool, ())]
        if created or declared:
            self._take(compensation, created or declared, executions, found)
        else:
            unnamed = [e for e in self._perhaps_unnamed(compensation, later) if e not in same]
            self._doubt(compensation, [*same, *unnamed], executions, found)

    def _perhaps_unnamed(self, compensation: Execution, executions: list[Execution]) -> list[Execution]:
        """Those of *executions* that *compensation* may have undone although nothing that was kept says so.

        What redaction took may have said it. So may a result that was not captured, where something is taken back that
        nobody is known to have acted on before: it must have come from somewhere.
        """
        later = self._perhaps_before(compensation, executions)
        takes_back = re.search(_UNDOING_NAME, compensation.tool) is not None
        if takes_back and not any((compensation.run, target) in self._acted_on for target in compensation.targets):
            said = self._payloads.arguments(compensation) and not self._payloads.redacted(compensation)
            hidden = not compensation.targets and not said
            return [e for e in later if self._payloads.redacted(e) or self._is_unseen(e, hidden=hidden)]
        taken = not compensation.targets and self._payloads.redacted(compensation)
        return [e for e in later if taken or (compensation.targets and self._payloads.redacted(e))]

    def _is_unseen(self, execution: Execution, *, hidden: bool) -> bool:
        """Whether what *execution* brought into being is not known; *hidden*: or what was taken back is not."""
        return hidden or (not execution.created and not self._payloads.result(execution))

    @staticmethod
    def _perhaps_before(compensation: Execution, executions: Iterable[Execution]) -> list[Execution]:
        return [e for e in executions if e.tool != compensation.tool and not compensation.ended_before(e)]

    def _created(self, execution: Execution, compensation: Execution) -> bool:
        if execution.created:
            return bool(set(execution.created) & set(compensation.targets))
        return any(
            target not in execution.targets and self._payloads.names_new(execution, target)
            for target in compensation.targets
        )

    def _take(
        self, compensation: Execution, candidates: list[Execution], group: Sequence[Execution], found: Undone
    ) -> None:
        """The last of *candidates* that began before the compensation and was not undone yet is undone by it."""
        open_ones = [e for e in candidates if e.row not in found.by and e.perhaps_applied]
        before = [e for e in open_ones if e.order < compensation.order] or open_ones
        if not before:
            return
        if compensation.applied:
            found.by[before[-1].row] = compensation
            if not self._losses.would_show(compensation, group):
                found.unseen.add(before[-1].row)
        else:
            self._doubt(compensation, before, group, found)

    def _doubt(
        self, compensation: Execution, candidates: list[Execution], group: Sequence[Execution], found: Undone
    ) -> None:
        fresh = {e.row for e in candidates} - found.doubtful
        found.doubtful |= fresh
        if not self._losses.would_show(compensation, group):
            found.unseen |= fresh
        else:
            found.unseen -= {e.row for e in candidates}
