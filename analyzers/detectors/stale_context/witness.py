"""Names a stale touch by its witness: the path by which the newer version could have been known.

The session guarantees are those of Terry et al. 1994, with agent instances as sessions; a path along a message is a
hand-off. What fits none of them is a causal stale read (Ahamad et al. 1995, causal memory).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
_TRIED = 4
# How many messages, reads and writes on the way are tried for it, the latest first.
_ON_THE_WAY = 64


class Witnesses:
    """Finds the most specific witness for touches of one record."""

    def __init__(self, record: Record, history: MemoryHistory, order: HappensBefore, keys: Iterable[Key]) -> None:
        self._order = order
        self._sessions = record.spans["agent_instance"].to_list()
        self._units = record.spans["uow"].to_list()
        self._seen = _seen(history)
        wanted = pl.DataFrame(list(keys), schema=dict.fromkeys(KEY, pl.String), orient="row")
        reads = history.reads.filter("native").join(wanted, on=KEY, how="semi", maintain_order="left")
        self._reads_of = _by_version(reads)
        self._reads_in = _by_unit(reads)
        self._writes_in = _by_unit(history.writes.join(wanted, on=KEY, how="semi", maintain_order="left"))

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
        after = _Futures(self._order, touch)
        return (
            self._handed_over(touch, newest, after, past)
            or (self._plain("read_your_writes", own[0], past) if own else None)
            or self._read_before(touch, newest, after, past)
            or self._wrote_after(touch, newest, after, past)
            or self._wrote_knowing(touch, newest, after, past)
            or self._plain("causal_stale_read", newest[0], past)
        )

    def readers(self, key: Key, versions: Mapping[str, None], unit: str) -> list[int]:
        """The rows of the reads of a unit of work that returned one of *versions*."""
        return [row for row, version in self._reads_in.get((unit, *key), ()) if version in versions]

    def writers(self, key: Key, versions: Mapping[str, None], unit: str) -> list[int]:
        """The rows of the writes of a unit of work that made one of *versions*."""
        return [row for row, version in self._writes_in.get((unit, *key), ()) if version in versions]

    def _plain(self, anomaly: str, write: Write, past: Search) -> Witness:
        return Witness(anomaly, write, tuple(past.path(write.row, EFFECT)))

    def _handed_over(self, touch: Touch, writes: list[Write], after: _Futures, past: Search) -> Witness | None:
        """A message sent after the write reached the reader before its read.

        What another agent of the same process took is not taken for the reader's, unless the only path leads there.
        """
        senders, receivers = past.received()
        mine = self._sessions[touch.row]
        for write in writes if len(senders) else ():
            sent = np.flatnonzero(after.of(write.row).holding(senders, START))[-_ON_THE_WAY:]
            for place in reversed(sent.tolist()):
                if self._sessions[receivers[place]] in ("", mine):
                    legs = (
                        after.of(write.row).nodes(int(senders[place]), START),
                        past.nodes(int(receivers[place]), START),
                    )
                    return Witness("handoff_stale", write, tuple(self._order.hops(*legs)))
            if len(sent):
                path = past.path(write.row, EFFECT)
                if any(hop.rule == "H4" for hop in path):
                    return Witness("handoff_stale", write, tuple(path))
        return None

    def _read_before(self, touch: Touch, writes: list[Write], after: _Futures, past: Search) -> Witness | None:
        """The same session had already read something newer, in another unit of work."""
        mine = self._sessions[touch.row]
        if not mine:
            return None
        for write in writes:
            for row in reversed(self._reads_of.get((*touch.key, write.version), [])[-_ON_THE_WAY:]):
                other_unit = self._units[row] != self._units[touch.row]
                if self._sessions[row] == mine and other_unit and past.holds(row, EFFECT):
                    future = after.of(write.row)
                    if future.holds(row, EFFECT):
                        legs = future.nodes(row, EFFECT), past.nodes(row, EFFECT)
                        return Witness("monotonic_reads", write, tuple(self._order.hops(*legs)), earlier_read=row)
        return None

    def _wrote_after(self, touch: Touch, writes: list[Write], after: _Futures, past: Search) -> Witness | None:
        """The session had read what the newer version's writer wrote after it."""
        for write in writes if self._sessions[touch.row] in self._seen else ():
            future = after.of(write.row)
            for reader, other in self._seen_by(touch, future, past):
                if self._sessions[other] and self._sessions[other] == self._sessions[write.row]:
                    return self._through("monotonic_writes", write, future, [other, reader], past)
        return None

    def _wrote_knowing(self, touch: Touch, writes: list[Write], after: _Futures, past: Search) -> Witness | None:
        """The session had read what somebody wrote who had read the newer version."""
        for write in writes if self._sessions[touch.row] in self._seen else ():
            future = after.of(write.row)
            seen = self._seen_by(touch, future, past)
            knowing = {self._sessions[other] for _, other in seen} - {""}
            rows = [
                row for row in self._reads_of.get((*touch.key, write.version), []) if self._sessions[row] in knowing
            ]
            for row in rows[-_TRIED:]:
                if not future.holds(row, EFFECT):
                    continue
                later = after.of(row)
                for reader, other in seen:
                    if self._sessions[other] == self._sessions[row] and later.holds(other, START):
                        return self._through("writes_follow_reads", write, future, [row, other, reader], past)
        return None

    def _seen_by(self, touch: Touch, future: Search, past: Search) -> list[tuple[int, int]]:
        """Earlier reads of the reader's session, each with the write it read from, begun in *future*."""
        mine = self._sessions[touch.row]
        if not mine or mine not in self._seen:
            return []
        readers, through = self._seen[mine]
        held = past.holding(readers, EFFECT) & future.holding(through, START)
        return list(zip(readers[held].tolist(), through[held].tolist(), strict=True))[-_ON_THE_WAY:]

    def _through(self, anomaly: str, write: Write, future: Search, rows: list[int], past: Search) -> Witness:
        """The witness whose path runs through the effects of *rows*."""
        legs = [future.nodes(rows[0], EFFECT)]
        for row, following in pairwise(rows):
            ahead = self._order.after(row, EFFECT, int(self._order.moment[3 * following + EFFECT]))
            legs.append(ahead.nodes(following, EFFECT))
        legs.append(past.nodes(rows[-1], EFFECT))
        return Witness(anomaly, write, tuple(self._order.hops(*legs)))


class _Futures:
    """What came after the effects of some spans, up to a touch; each searched for once, and only if asked for."""

    def __init__(self, order: HappensBefore, touch: Touch) -> None:
        self._order, self._until = order, int(order.moment[3 * touch.row + START])
        self._known: dict[int, Search] = {}

    def of(self, row: int) -> Search:
        """What came after the effect of span *row*."""
        if row not in self._known:
            self._known[row] = self._order.after(row, EFFECT, self._until)
        return self._known[row]


def _seen(history: MemoryHistory) -> dict[str, tuple[Nodes, Nodes]]:
    """For each session what it has read: rows of its reads, and of the writes they read from."""
    version = [*KEY, "version"]
    written = history.writes.filter("single", "native").select(*version, writer="row")
    pairs = history.reads.filter("native").join(written, on=version, maintain_order="left")
    by_session = pairs.group_by("agent_instance").agg("row", "writer")
    return {session: (np.array(rows), np.array(writers)) for session, rows, writers in by_session.iter_rows()}


def _by_version(reads: pl.DataFrame) -> dict[tuple[str, ...], list[int]]:
    groups = reads.group_by(*KEY, "version", maintain_order=True).agg("row")
    return {tuple(version): rows for *version, rows in groups.iter_rows()}


def _by_unit(ops: pl.DataFrame) -> dict[tuple[str, ...], list[tuple[int, str]]]:
    groups = ops.group_by("uow", *KEY, maintain_order=True).agg("row", "version")
    return {tuple(place): list(zip(rows, versions, strict=True)) for *place, rows, versions in groups.iter_rows()}
