"""Decides each touch of an old version: was a newer one knowable?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline.analyzers.detectors.stale_context.clocks import Clocks
from driftline.analyzers.detectors.stale_context.stale import Stale, Witness
from driftline.analyzers.detectors.stale_context.touches import Touch
from driftline.analyzers.detectors.stale_context.witness import Witnesses
from driftline.analyzers.lineage import Key, Lineage, Write
from driftline.analyzers.memory_history import INIT, MemoryHistory
from driftline.analyzers.order import EFFECT, START, HappensBefore, Search

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.record import Record

AMBIGUOUS = "two independent writes claim the version that was read, so nobody knows which one it was"
TANGLED = "versions of a record descend from themselves"
CONTRADICTED = "the record contradicts itself about what came first"
UNBOUNDED = "clocks of different hosts are not bounded (--skew), so they do not say whether an effect came too late"


class Judge:
    """Judges touches one by one. `unjudged`: (reason, run) of what could not be judged."""

    def __init__(
        self, record: Record, config: Config, history: MemoryHistory, order: HappensBefore, known: dict[Key, Lineage]
    ) -> None:
        self._record = record
        self._order = order
        self._known = known
        self._clocks = Clocks(record, config)
        self._witnesses = Witnesses(record, history, order, known)
        self._units, self._runs = record.spans["uow"].to_list(), record.spans["run"].to_list()
        self._uncertain = _broken_chains(record)
        self.unjudged: set[tuple[str, str]] = set()

    def judge(self, touches: list[Touch]) -> list[Stale]:
        """Those of *touches* that are stale."""
        found = []
        for touch in touches:
            lineage = self._known[touch.key]
            run = self._runs[touch.row]
            if lineage.tangled:
                self.unjudged.add((TANGLED, run))
            elif not lineage.unique(touch.version):
                self.unjudged.add((AMBIGUOUS, run))
            elif not lineage.newer(touch.version).keys() & touch.beside:
                stale = self._touch(touch, lineage)
                found += [stale] if stale else []
        return found

    def _touch(self, touch: Touch, lineage: Lineage) -> Stale | None:
        writes = self._newer(touch, lineage)
        if writes:
            past = self._past(touch, writes)
            knowable = [write for write in writes if past.holds(write.row, EFFECT)]
            if self._order.contradicted[[3 * touch.row, *(3 * write.row + EFFECT for write in writes)]].any():
                self.unjudged.add((CONTRADICTED, self._runs[touch.row]))
            if knowable:
                return self._stale(touch, lineage, self._outside_the_unit(touch, lineage, knowable), past)
            if touch.how == "effect":
                return self._by_clock(touch, lineage, writes)
        return self._after_a_blind_write(touch, lineage)

    def _newer(self, touch: Touch, lineage: Lineage) -> list[Write]:
        """The committed writes of newer versions, nearest first."""
        found = [write for version in lineage.newer(touch.version) for write in lineage.producers(version)]
        found = [write for write in found if write.committed and write.row != touch.row]
        if touch.how == "derived":
            return [write for write in found if write.tombstone]
        if touch.version == INIT:
            # "Nothing was there" is also what is found after a deletion, and in another run's store of that name.
            graves = [write.version for write in lineage.writes if write.tombstone and write.status != "rolled_back"]
            run = self._runs[touch.row]
            found = [write for write in found if self._runs[write.row] == run]
            return [write for write in found if all(lineage.precedes(grave, write.version) for grave in graves)]
        return found

    def _past(self, touch: Touch, writes: list[Write], without: list[int] | None = None) -> Search:
        since = min(int(self._order.moment[3 * write.row + EFFECT]) for write in writes)
        return self._order.before(touch.row, START, since, without=without or [])

    def _outside_the_unit(self, touch: Touch, lineage: Lineage, writes: list[Write]) -> list[Write]:
        """Those of *writes* that were knowable otherwise than by what the same unit of work wrote or read itself.

        Inside one unit of work a read that does not repeat is split_state's matter.
        """
        if touch.how == "effect":
            return writes
        unit = self._units[touch.row]
        others = [write for write in writes if self._units[write.row] != unit]
        newer = lineage.newer(touch.version)
        own_reads = [row for row in self._witnesses.readers(touch.key, newer) if self._units[row] == unit]
        if not others or not own_reads:
            return others
        past = self._past(touch, others, own_reads)
        return [write for write in others if past.holds(write.row, EFFECT)]

    def _stale(self, touch: Touch, lineage: Lineage, writes: list[Write], past: Search) -> Stale | None:
        """The most specific witness among *writes*, a proved one if there is any."""
        if not writes:
            return None
        doubts = {write.row: self._doubts(touch, write) for write in writes}
        proved = [write for write in writes if not doubts[write.row]]
        witness = self._witnesses.best(touch, proved or writes, past)
        said = doubts[witness.newer.row]
        if witness.earlier_read is not None and self._uncertain[witness.earlier_read]:
            said = (*said, _UNIT)
        return Stale(touch, lineage, witness, said)

    def _doubts(self, touch: Touch, write: Write) -> tuple[str, ...]:
        run, other = self._runs[touch.row], self._runs[write.row]
        return tuple(
            doubt
            for doubt, holds in (
                (touch.doubt, bool(touch.doubt)),
                ("the version ids are not the store's own", not (touch.native and write.native)),
                (f"two independent writes claim {write.version}", not write.alone),
                (_UNIT, touch.how != "effect" and bool(self._uncertain[touch.row] or self._uncertain[write.row])),
                (
                    "the record is not whole, so a deletion may be missing",
                    touch.version == INIT and not self._record.completeness.whole(run),
                ),
                (
                    "the newer version is another run's, and this run's record is not whole",
                    run != other and not self._record.completeness.whole(run),
                ),
            )
            if holds
        )

    def _by_clock(self, touch: Touch, lineage: Lineage, writes: list[Write]) -> Stale | None:
        best: Stale | None = None
        for write in writes:
            after = self._clocks.after_ms(touch.row, write.row)
            if after is None or after <= 0 or not write.alone:
                continue
            bound = self._clocks.bound_ms(touch.row, write.row)
            if bound is None:
                self.unjudged.add((UNBOUNDED, self._runs[touch.row]))
            elif after > bound and not self._came_first(touch, write):
                witness = Witness("stale_effect", write, margin_ms=round(after - bound, 3))
                stale = Stale(touch, lineage, witness, self._doubts(touch, write))
                if best is None or _firmness(stale) > _firmness(best):
                    best = stale
        return best

    def _came_first(self, touch: Touch, write: Write) -> bool:
        """Whether the touch is known to have come before the write, whatever the clocks say."""
        until = int(self._order.moment[3 * write.row + EFFECT])
        return self._order.after(touch.row, START, until).holds(write.row, EFFECT)

    def _after_a_blind_write(self, touch: Touch, lineage: Lineage) -> Stale | None:
        """A later write did not say what it was derived from: where a store keeps one value, it replaced this one."""
        sources = lineage.producers(touch.version)
        newer = lineage.newer(touch.version)
        if touch.how == "derived" or len(sources) != 1 or not touch.native:
            return None
        source = sources[0]
        blind = [
            write
            for write in lineage.writes
            if write.blind and write.committed and write.native and write.alone
            and write.version not in newer and write.version != touch.version
            and not lineage.precedes(write.version, touch.version)
            and self._order.moment[3 * write.row + EFFECT] >= self._order.moment[3 * source.row + EFFECT]
        ]  # fmt: skip
        if not blind:
            return None
        past = self._past(touch, [source])
        later = [w for w in blind if past.holds(w.row, EFFECT) and self._past_of(w, source).holds(source.row, EFFECT)]
        later = self._outside_the_unit(touch, lineage, later) if later else []
        if not later:
            return None
        witness = self._witnesses.best(touch, later, past)
        doubt = f"the write of {witness.newer.version} does not say what it was derived from"
        return Stale(touch, lineage, witness, (doubt, *self._doubts(touch, witness.newer)))

    def _past_of(self, write: Write, source: Write) -> Search:
        return self._order.before(write.row, START, int(self._order.moment[3 * source.row + EFFECT]))


_UNIT = "a span around it is missing, so it is uncertain whether both belong to one unit of work"


def _firmness(stale: Stale) -> tuple[bool, float]:
    return not stale.doubts, stale.witness.margin_ms or 0.0


def _broken_chains(record: Record) -> list[bool]:
    """Spans whose unit of work is uncertain, because an ancestor is missing from the record."""
    spans = record.spans
    orphan = ((spans["parent_id"] != "") & (spans["parent"] < 0) & (spans["kind"] != "run")).to_numpy()
    named = (spans["said_uow"] != "").to_numpy()
    return list(((record.tree.nearest(orphan) >= 0) & ~named).tolist())
