"""What keeps a stale touch from being proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.completeness import DROPPED_ATTRIBUTES, OPEN_MESSAGE, OPEN_SPANS
from driftline.analyzers.effects import WRITES
from driftline.analyzers.lineage import Lineage, Write
from driftline.analyzers.memory_history import INIT

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.detectors.stale_context.touches import Touch
    from driftline.analyzers.order import HappensBefore
    from driftline.analyzers.record import Record

UNIT = "a span around it is missing, so it is uncertain whether both belong to one unit of work"


class Doubts:
    """Finds the doubts about touches and the newer writes they missed."""

    def __init__(self, record: Record, config: Config, order: HappensBefore) -> None:
        self._record = record
        self._by_message_id = order.by_message_id
        self._runs = record.spans["run"].to_list()
        self._dropped = record.spans["dropped_attributes"].to_list()
        self._uncertain = _broken_chains(record)
        self._undone = _undone(record, config)

    def was_undone(self, row: int) -> bool:
        """Whether the call in which span *row* wrote was undone for certain."""
        return self._undone.get(row, False)

    def of(self, touch: Touch, lineage: Lineage, write: Write) -> tuple[str, ...]:
        """Why it is not proved that *touch* could have known of *write*; empty = it is."""
        run, other = self._runs[touch.row], self._runs[write.row]
        whole = self._record.completeness.whole
        return tuple(
            doubt
            for doubt, holds in (
                ("only the id of a message says that it came first", self._by_message_id),
                (touch.doubt, bool(touch.doubt)),
                ("the version ids are not the store's own", not (touch.native and lineage.native)),
                (f"two independent writes claim {lineage.doubled}", bool(lineage.doubled)),
                (UNIT, touch.how != "effect" and (self._uncertain[touch.row] or self._uncertain[write.row])),
                ("spans were lost, among them perhaps one that explains it", self._lacks(run) or self._lacks(other)),
                ("attributes were dropped at their source", bool(self._dropped[touch.row] or self._dropped[write.row])),
                ("the record is not whole, so a deletion may be missing", touch.version == INIT and not whole(run)),
                ("the newer write may have been undone", write.row in self._undone),
                *((doubt, True) for doubt in self._between_runs(touch, lineage, write)),
            )
            if holds
        )

    def of_unit(self, row: int) -> tuple[str, ...]:
        """Why it is not certain to which unit of work span *row* belongs; empty = it is."""
        return (UNIT,) if self._uncertain[row] else ()

    def _lacks(self, run: str) -> bool:
        """Whether *run* is known to lack spans: an undoing, another claim of a version, a second look at the key."""
        return not self._record.completeness.whole(run, ignoring=(OPEN_MESSAGE, OPEN_SPANS, DROPPED_ATTRIBUTES))

    def _between_runs(self, touch: Touch, lineage: Lineage, write: Write) -> tuple[str, ...]:
        """Why two runs may have had two stores of one name."""
        run, other = self._runs[touch.row], self._runs[write.row]
        if run == other:
            return ()
        if not (self._record.completeness.whole(run) and self._record.completeness.whole(other)):
            return ("the newer version is another run's, and the record of one of the two runs is not whole",)
        if not lineage.producers(touch.version):
            return ("the newer version is another run's, and what was read is older than the recording",)
        if not lineage.descends(touch.version, write.version):
            return ("the newer version is another run's, and only a counter says that it is newer",)
        return ()


def _broken_chains(record: Record) -> list[bool]:
    """Spans whose unit of work is uncertain, because an ancestor is missing from the record."""
    spans = record.spans
    orphan = ((spans["parent_id"] != "") & (spans["parent"] < 0) & (spans["kind"] != "run")).to_numpy()
    named = (spans["said_uow"] != "").to_numpy()
    return list(((record.tree.nearest(orphan) >= 0) & ~named).tolist())


def _undone(record: Record, config: Config) -> dict[int, bool]:
    """The spans of calls that another call undid (true), or may have undone."""
    calls = record.executions(config)
    undoing = (pl.col("compensates") != "") & pl.col("outcome").is_in(["applied", "unknown"])
    sure = (pl.col("outcome") == "applied") & pl.col("effect").is_in(WRITES)
    undone = calls.filter(undoing).group_by("run", call="compensates").agg(sure=sure.any())
    within = record.spans.select("row", "run", call=record.tree.inherited(record.spans["call_id"]))
    return dict(within.join(undone, on=["run", "call"]).select("row", "sure").iter_rows())
