"""Decides each touch of an old version: was a newer one knowable?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from driftline.analyzers.detectors.stale_context.blind import BlindWrites
from driftline.analyzers.detectors.stale_context.clocks import Clocks
from driftline.analyzers.detectors.stale_context.doubts import Doubts
from driftline.analyzers.detectors.stale_context.polling import Polling
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
BY_CLOCKS = "a read began after a newer version was written, by clocks alone: stale_read is not part of this version"
TOO_CLOSE = "an effect and a newer write came closer together than their clocks may differ"
REPEATED = "further {} of what is already reported were not judged one by one"
GIVEN_UP = "{} reads or effects were not judged: too much lies between them and the newer versions"

# So many of one agent's stale touches of one key are enough, a proved one counting fourfold: the rest goes unjudged.
_ENOUGH = 64
# Events looked at, for each event of the record: keeps the whole near-linear whatever the record holds.
_EFFORT = 100
_LEAST_EFFORT = 5_000_000
# How many of the newer writes are weighed for the finding.
_WEIGHED = 32
# How many blind writes are.
_TRIED = 2


class Judge:
    """Judges touches one by one. `unjudged`: (reason, run) of what could not be judged."""

    def __init__(
        self, record: Record, config: Config, history: MemoryHistory, order: HappensBefore, known: dict[Key, Lineage]
    ) -> None:
        spans = record.spans
        self._order = order
        self._known = known
        self._clocks = Clocks(record, config, order)
        self._witnesses = Witnesses(record, history, order, known)
        self._doubts = Doubts(record, config, order)
        self._polling = Polling(record, history)
        self._blind = BlindWrites(order)
        self._units, self._runs = spans["uow"].to_list(), spans["run"].to_list()
        self._agents = spans["agent_instance"].to_list()
        self._own_call, self._calls = spans["call_id"].to_list(), record.tree.inherited(spans["call_id"]).to_list()
        self._effort = max(_LEAST_EFFORT, _EFFORT * len(order.moment))
        looped = np.unique(np.flatnonzero(order.contradicted) // 3)
        self.unjudged: set[tuple[str, str]] = {(CONTRADICTED, self._runs[row]) for row in looped.tolist()}

    def judge(self, touches: list[Touch]) -> list[Stale]:
        """Those of *touches* that are stale."""
        found = []
        told: Counter[tuple[object, ...]] = Counter()
        repeated: Counter[str] = Counter()
        given_up: Counter[str] = Counter()
        for touch in touches:
            run = self._runs[touch.row]
            group = (run, self._agents[touch.row] or self._units[touch.row], touch.key, touch.how == "effect")
            if told[group] >= _ENOUGH:
                repeated[run] += 1
            elif self._order.spent > self._effort:
                given_up[run] += 1
            else:
                stale = self._judge(touch)
                found += [stale] if stale else []
                told[group] += 0 if stale is None else 1 if stale.doubts else 4
        self.unjudged |= {(REPEATED.format(f"{n} occurrence{'s' * (n > 1)}"), run) for run, n in repeated.items()}
        self.unjudged |= {(GIVEN_UP.format(n), run) for run, n in given_up.items()}
        return found

    def _judge(self, touch: Touch) -> Stale | None:
        lineage, run = self._known[touch.key], self._runs[touch.row]
        if lineage.tangled:
            self.unjudged.add((TANGLED, run))
            return None
        if not lineage.unique(touch.version):
            self.unjudged.add((AMBIGUOUS, run))
            return None
        newer = lineage.newer(touch.version)
        if newer.keys() & touch.beside:
            return None
        stale = self._touch(touch, lineage, newer)
        if stale and touch.how == "read":
            # A unit that read again until the newer version was there, and did nothing in between, acted on nothing.
            rereads = self._witnesses.readers(touch.key, newer, self._units[touch.row])
            return None if self._polling.went_on(touch.row, rereads) else stale
        return stale

    def _touch(self, touch: Touch, lineage: Lineage, newer: dict[str, None]) -> Stale | None:
        writes = self._newer(touch, lineage, newer)
        if writes:
            past = self._past(touch, writes)
            reached = past.holding(np.array([write.row for write in writes]), EFFECT)
            knowable = [write for write, held in zip(writes, reached.tolist(), strict=True) if held]
            if knowable:
                return self._stale(touch, lineage, self._outside_the_unit(touch, newer, knowable), past)
            if touch.how == "effect":
                return self._by_clock(touch, lineage, writes)
            # The nearest newer version is the one a read is likeliest to have come after.
            if touch.how == "read" and any(after > 0 for after, _ in self._clocks.apart(touch.row, writes[:1])):
                self.unjudged.add((BY_CLOCKS, self._runs[touch.row]))
        return self._after_a_blind_write(touch, lineage, newer)

    def _newer(self, touch: Touch, lineage: Lineage, newer: dict[str, None]) -> list[Write]:
        """The committed writes of newer versions, nearest first."""
        found = [write for version in newer for write in lineage.producers(version)]
        found = [write for write in found if write.committed and write.row != touch.row]
        found = [write for write in found if not self._doubts.was_undone(write.row)]
        if touch.how == "derived":
            return [write for write in found if write.tombstone]
        run = self._runs[touch.row]
        own = self._own_call[touch.row]
        if touch.how == "effect" and own:
            # What an earlier attempt of the same call wrote does not make the next attempt stale.
            found = [w for w in found if self._calls[w.row] != own or self._runs[w.row] != run]
        if touch.version == INIT:
            # "Nothing was there" is also what is found after a deletion, and in another run's store of that name.
            graves = [write.version for write in lineage.writes if write.tombstone and write.status != "rolled_back"]
            found = [write for write in found if self._runs[write.row] == run]
            return [write for write in found if all(lineage.precedes(grave, write.version) for grave in graves[:64])]
        return found

    def _past(self, touch: Touch, writes: list[Write], without: list[int] | None = None) -> Search:
        since = min(int(self._order.moment[3 * write.row + EFFECT]) for write in writes)
        return self._order.before(touch.row, START, since, without=without or [])

    def _outside_the_unit(self, touch: Touch, newer: dict[str, None], writes: list[Write]) -> list[Write]:
        """Those of *writes* that were knowable otherwise than by what the same unit of work wrote or read itself.

        Inside one unit of work a read that does not repeat is split_state's matter.
        """
        if touch.how == "effect":
            return writes
        unit = self._units[touch.row]
        others = [write for write in writes if self._units[write.row] != unit]
        own = self._witnesses.readers(touch.key, newer, unit) + self._witnesses.writers(touch.key, newer, unit)
        if not others or not own:
            return others
        past = self._past(touch, others, own)
        return [write for write in others if past.holds(write.row, EFFECT)]

    def _stale(self, touch: Touch, lineage: Lineage, writes: list[Write], past: Search) -> Stale | None:
        """The most specific witness among *writes*, a proved one if there is any."""
        if not writes:
            return None
        weighed = [*writes[-_WEIGHED:]]
        weighed = [write for write in writes[:-_WEIGHED] if write.tombstone][:1] + weighed
        doubts = {write.row: self._doubts.of(touch, lineage, write) for write in weighed}
        proved = [write for write in weighed if not doubts[write.row]]
        witness = self._witnesses.best(touch, proved or weighed, past)
        said = doubts[witness.newer.row]
        if witness.earlier_read is not None:
            said = (*said, *self._doubts.of_unit(witness.earlier_read))
        return Stale(touch, lineage, witness, tuple(dict.fromkeys(said)))

    def _by_clock(self, touch: Touch, lineage: Lineage, writes: list[Write]) -> Stale | None:
        """Whether the effect began after one of *writes* had ended, by clocks that are known well enough."""
        run, best = self._runs[touch.row], None
        for after, write in sorted(self._clocks.apart(touch.row, writes), key=lambda pair: -pair[0]):
            bound = self._clocks.bound_ms(touch.row, write.row)
            if bound is None:
                if after > 0:
                    self.unjudged.add((UNBOUNDED, run))
                continue
            if after <= -bound or best is not None:
                break
            if self._came_first(touch, write):
                continue
            if after <= bound:
                self.unjudged.add((TOO_CLOSE, run))
                break
            witness = Witness("stale_effect", write, margin_ms=round(after - bound, 3), bound_ms=bound)
            best = Stale(touch, lineage, witness, self._doubts.of(touch, lineage, write))
        return best

    def _came_first(self, touch: Touch, write: Write) -> bool:
        """Whether the touch is known to have begun before the write took effect, whatever the clocks say."""
        until = int(self._order.moment[3 * write.row + EFFECT])
        return self._order.after(touch.row, START, until).holds(write.row, EFFECT)

    def _after_a_blind_write(self, touch: Touch, lineage: Lineage, newer: dict[str, None]) -> Stale | None:
        """A later write did not say what it was derived from: where a store keeps one value, it replaced this one."""
        if touch.how == "derived" or not touch.native:
            return None
        blind, source = self._blind.after(touch, lineage, newer)
        if not blind or source is None:
            return None
        past = self._past(touch, [source])
        known = [write for write in blind if past.holds(write.row, EFFECT)][-_TRIED:]
        later = [write for write in known if self._past_of(write, source).holds(source.row, EFFECT)]
        later = self._outside_the_unit(touch, newer, later) if later else []
        if not later:
            return None
        witness = self._witnesses.best(touch, later, past)
        doubt = f"the write of {witness.newer.version} does not say what it was derived from"
        return Stale(touch, lineage, witness, (doubt, *self._doubts.of(touch, lineage, witness.newer)))

    def _past_of(self, write: Write, source: Write) -> Search:
        return self._order.before(write.row, START, int(self._order.moment[3 * source.row + EFFECT]))
