"""Names a stale touch by its witness: the path by which the newer version could have been known.

The session guarantees are those of Terry et al. 1994, with agent instances as sessions; a path along a message is a
hand-off. What fits none of them is a causal stale read (Ahamad et al. 1995, causal memory).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from driftline.analyzers.detectors.stale_context.stale import Witness
from driftline.analyzers.memory_history import KEY
from driftline.analyzers.order import EFFECT, START, HappensBefore, Search
from driftline.analyzers.order_edges import Nodes

if TYPE_CHECKING:
    from driftline.analyzers.detectors.stale_context.touches import Touch
    from driftline.analyzers.lineage import Key, Write
    from driftline.analyzers.memory_history import MemoryHistory
    from driftline.analyzers.record import Record

# How many of the newer writes are tried for a more specific name.
_TRIED = 32


class Witnesses:
    """Finds the most specific witness for touches of one record."""

    def __init__(self, record: Record, history: MemoryHistory, order: HappensBefore, keys: Iterable[Key]) -> None:
        self._order = order
        self._sessions = record.spans["agent_instance"].to_list()
        self._units = record.spans["uow"].to_list()
        self._senders, self._receivers = order.messages()
        self._seen = _seen(history)
        self._reads_of = _reads_of(history, keys)

    def best(self, touch: Touch, writes: list[Write], past: Search) -> Witness:
        """The witness for *touch*, all of whose *writes* (nearest first) are in its *past*."""
        newest = writes[::-1][:_TRIED]
        if touch.how == "effect":
            return self._plain("stale_effect", newest[0], past)
        graves = [write for write in writes if write.tombstone]
        if graves:
            return self._plain("resurrected_memory", graves[0], past)
        mine = self._sessions[touch.row]
        own = [write for write in newest if mine and self._sessions[write.row] == mine]
        nearby = [write for write in own if self._order.same_process(write.row, touch.row)]
        if nearby:
            return self._plain("read_your_writes", nearby[0], past)
        return (
            self._handed_over(touch, newest, past)
            or (self._plain("read_your_writes", own[0], past) if own else None)
            or self._read_before(touch, newest, past)
            or self._seen_through(touch, newest, past)
            or self._plain("causal_stale_read", newest[0], past)
        )

    def readers(self, key: Key, versions: Iterable[str]) -> list[int]:
        """The rows of the reads that returned one of *versions*."""
        return [row for version in versions for row in self._reads_of.get((*key, version), ())]

    def _plain(self, anomaly: str, write: Write, past: Search) -> Witness:
        return Witness(anomaly, write, tuple(past.path(write.row, EFFECT)))

    def _handed_over(self, touch: Touch, writes: list[Write], past: Search) -> Witness | None:
        """A message sent after the write reached the reader before its read."""
        reached = past.holding(self._receivers, START)
        senders, receivers = self._senders[reached], self._receivers[reached]
        if not len(senders):
            return None
        for write in writes:
            future = self._future(write.row, touch)
            for place in np.flatnonzero(future.holding(senders, START))[-1:]:
                legs = future.nodes(int(senders[place]), START), past.nodes(int(receivers[place]), START)
                return Witness("handoff_stale", write, tuple(self._order.hops(*legs)))
        return None

    def _read_before(self, touch: Touch, writes: list[Write], past: Search) -> Witness | None:
        """The same session had already read something newer, in another unit of work."""
        mine = self._sessions[touch.row]
        if not mine:
            return None
        for write in writes:
            for row in reversed(self._reads_of.get((*touch.key, write.version), [])):
                other_unit = self._units[row] != self._units[touch.row]
                if self._sessions[row] == mine and other_unit and past.holds(row, EFFECT):
                    future = self._future(write.row, touch)
                    if future.holds(row, EFFECT):
                        legs = future.nodes(row, EFFECT), past.nodes(row, EFFECT)
                        return Witness("monotonic_reads", write, tuple(self._order.hops(*legs)), earlier_read=row)
        return None

    def _seen_through(self, touch: Touch, writes: list[Write], past: Search) -> Witness | None:
        """The session had read a write made after the newer one: by its own writer, or by one who had read it."""
        mine = self._sessions[touch.row]
        if not mine or mine not in self._seen:
            return None
        readers, through = self._seen[mine]
        before = past.holding(readers, EFFECT)
        readers, through = readers[before], through[before]
        for write in writes:
            future = self._future(write.row, touch)
            later = future.holding(through, START)
            for reader, other in zip(readers[later], through[later], strict=True):
                if self._sessions[other] and self._sessions[other] == self._sessions[write.row]:
                    return self._through("monotonic_writes", write, future, [int(other), int(reader)], past)
        for write in writes:
            future = self._future(write.row, touch)
            for row in self._reads_of.get((*touch.key, write.version), []):
                if not self._sessions[row] or not future.holds(row, EFFECT):
                    continue
                later = self._future(row, touch).holding(through, START)
                for reader, other in zip(readers[later], through[later], strict=True):
                    if self._sessions[other] == self._sessions[row]:
                        rows = [row, int(other), int(reader)]
                        return self._through("writes_follow_reads", write, future, rows, past)
        return None

    def _through(self, anomaly: str, write: Write, future: Search, rows: list[int], past: Search) -> Witness:
        """The witness whose path runs through the effects of *rows*."""
        legs = [future.nodes(rows[0], EFFECT)]
        for row, following in pairwise(rows):
            ahead = self._order.after(row, EFFECT, int(self._order.moment[3 * following + EFFECT]))
            legs.append(ahead.nodes(following, EFFECT))
        legs.append(past.nodes(rows[-1], EFFECT))
        return Witness(anomaly, write, tuple(self._order.hops(*legs)))

    def _future(self, row: int, touch: Touch) -> Search:
        return self._order.after(row, EFFECT, int(self._order.moment[3 * touch.row + START]))


def _seen(history: MemoryHistory) -> dict[str, tuple[Nodes, Nodes]]:
    """For each session what it has read: rows of its reads, and of the writes they read from."""
    version = [*KEY, "version"]
    written = history.writes.filter("single", "native").select(*version, writer="row")
    pairs = history.reads.filter("native").join(written, on=version, maintain_order="left")
    by_session = pairs.group_by("agent_instance").agg("row", "writer")
    return {session: (np.array(rows), np.array(writers)) for session, rows, writers in by_session.iter_rows()}


def _reads_of(history: MemoryHistory, keys: Iterable[Key]) -> dict[tuple[str, ...], list[int]]:
    wanted = pl.DataFrame(list(keys), schema=dict.fromkeys(KEY, pl.String), orient="row")
    reads = history.reads.filter("native").join(wanted, on=KEY, how="semi", maintain_order="left")
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, *version in reads.select("row", *KEY, "version").iter_rows():
        found[tuple(version)].append(row)
    return found
