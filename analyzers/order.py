"""Happens-before over a record: the only orders that make a finding definite (WIRE, rules H1–H6).

Every span has three events: its start, its effect (the moment a memory operation or hand-off took place, somewhere
between start and end) and its end. Edges:

- H1 within one process, by the ticks of its logical clock; H3 (a child's end before its parent's next operation) is
  part of it, as both carry ticks of the same process
- H2 from a parent's start to its child's start, never from the parent's end
- H4 from a hand-off's start to its receipt's start; any other link only says that the linked span began before the
  linking one ended
- H5 from the write of a version to every read of it; H6 from the write of a version to the write of its child; both
  only for native version ids with a single producer

Wall clocks appear nowhere here. A cycle means that the record contradicts itself: nothing is concluded through it.

Sources: Lamport 1978 (happens-before); the rules' reasons are in docs/detectors/stale_context.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

Nodes = npt.NDArray[np.int64]

START, EFFECT, END = 0, 1, 2
_RULES = ("", "H1", "H2", "H4", "H5", "H6", "link")
_WITHIN, _H1, _H2, _H4, _H5, _H6, _LINK = range(7)


@dataclass(frozen=True)
class Hop:
    """One step of a witness: by *rule*, the event (*from_row*, *from_event*) came before (*to_row*, *to_event*)."""

    rule: str
    from_row: int
    from_event: int
    to_row: int
    to_event: int


class HappensBefore:
    """Which event of the record is known to have come before which."""

    def __init__(self, record: Record) -> None:
        self._record = record
        parts = [_within(record.spans), _program_order(record.spans), _parents(record.spans), *_links(record.spans)]
        parts += _memory_order(record.memory)
        parts = [part for part in parts if len(part[0])]
        self._size = 3 * record.spans.height
        self._from = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, dtype=np.int64)
        self._to = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, dtype=np.int64)
        self._rule = (
            np.concatenate([np.full(len(part[0]), part[2], dtype=np.int8) for part in parts])
            if parts
            else np.empty(0, dtype=np.int8)
        )

    def before(self, row: int, event: int = START) -> Past:
        """Everything known to have come before an event of span *row*."""
        return Past(self, 3 * row + event)

    def messages(self) -> list[tuple[int, int]]:
        """The hand-offs of the record: rows of sender and receiver."""
        chosen = self._rule == _H4
        return [(int(a) // 3, int(b) // 3) for a, b in zip(self._from[chosen], self._to[chosen], strict=True)]

    def contradicted(self, nodes: Nodes) -> bool:
        """Whether one of *nodes* lies on a cycle."""
        return bool(self._cyclic[nodes].any())

    def rule_of(self, source: int, target: int) -> str:
        """The strongest rule that orders two neighbouring nodes; '' for events of one span."""
        keys, order = self._keys
        first = np.searchsorted(keys, source * self._size + target, side="left")
        last = np.searchsorted(keys, source * self._size + target, side="right")
        return _RULES[int(self._rule[order[first:last]].min())]

    @cached_property
    def reverse(self) -> csr_array:
        """The graph with every edge turned round: from an event to what came before it."""
        ones = np.ones(len(self._from), dtype=np.int8)
        return csr_array((ones, (self._to, self._from)), shape=(self._size, self._size))

    @cached_property
    def _keys(self) -> tuple[Nodes, Nodes]:
        keys = self._from * self._size + self._to
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    @cached_property
    def _cyclic(self) -> npt.NDArray[np.bool_]:
        if not self._size:
            return np.empty(0, dtype=bool)
        _, component = connected_components(self.reverse, directed=True, connection="strong")
        return np.asarray(np.bincount(component)[component] > 1)


class Past:
    """What came before one event, and by which path."""

    def __init__(self, order: HappensBefore, node: int) -> None:
        self._order = order
        self._node = node
        reached, towards = breadth_first_order(order.reverse, node, directed=True, return_predecessors=True)
        self._reached = np.zeros(order._size, dtype=bool)
        self._reached[reached] = True
        self._reached[node] = False
        self._towards = towards

    def holds(self, row: int, event: int) -> bool:
        """Whether that event is known to have come before."""
        return bool(self._reached[3 * row + event])

    def path(self, row: int, event: int) -> list[Hop]:
        """The shortest witness from that event to ours; moves within one process are one hop."""
        nodes = [3 * row + event]
        while nodes[-1] != self._node:
            nodes.append(int(self._towards[nodes[-1]]))
        hops: list[Hop] = []
        for source, target in zip(nodes, nodes[1:], strict=False):
            rule = self._order.rule_of(source, target)
            if hops and (rule in ("", hops[-1].rule) and hops[-1].rule in ("", "H1")):
                hops[-1] = Hop(hops[-1].rule or rule, hops[-1].from_row, hops[-1].from_event, target // 3, target % 3)
            elif hops and not hops[-1].rule:
                hops[-1] = Hop(rule, hops[-1].from_row, hops[-1].from_event, target // 3, target % 3)
            else:
                hops.append(Hop(rule, source // 3, source % 3, target // 3, target % 3))
        return hops

    def sound(self, row: int, event: int) -> bool:
        """Whether the path from that event crosses no contradiction."""
        nodes = [3 * row + event]
        while nodes[-1] != self._node:
            nodes.append(int(self._towards[nodes[-1]]))
        return not self._order.contradicted(np.array(nodes))


Edges = tuple[Nodes, Nodes, int]


def _within(spans: pl.DataFrame) -> Edges:
    rows = spans["row"].to_numpy()
    ended = spans.filter(~pl.col("pending"))["row"].to_numpy()
    return (
        np.concatenate([3 * rows + START, 3 * ended + EFFECT]),
        np.concatenate([3 * rows + EFFECT, 3 * ended + END]),
        _WITHIN,
    )


def _program_order(spans: pl.DataFrame) -> Edges:
    timed = spans.filter(pl.col("proc") != "")
    ticks = pl.concat(
        [
            timed.select("proc", tick="seq", node=3 * pl.col("row") + START),
            timed.filter(pl.col("seq_end").is_not_null() & ~pl.col("pending")).select(
                "proc", tick="seq_end", node=3 * pl.col("row") + END
            ),
        ]
    )
    # A tick given twice shows that the clock of that process is not one clock: it orders nothing.
    broken = ticks.filter(pl.len().over("proc", "tick") > 1)["proc"].unique()
    ordered = ticks.filter(~pl.col("proc").is_in(broken.implode())).sort("proc", "tick")
    follows = ordered.with_columns(
        following=pl.col("node").shift(-1), same=pl.col("proc") == pl.col("proc").shift(-1)
    ).filter(pl.col("same").fill_null(value=False))
    return follows["node"].to_numpy(), follows["following"].to_numpy(), _H1


def _parents(spans: pl.DataFrame) -> Edges:
    inside = spans.filter(pl.col("parent") >= 0)
    return 3 * inside["parent"].to_numpy() + START, 3 * inside["row"].to_numpy() + START, _H2


def _links(spans: pl.DataFrame) -> list[Edges]:
    linking = (
        spans.filter(pl.col("link_traces").list.len() > 0)
        .select("row", "kind", "pending", "link_traces", "link_spans")
        .explode("link_traces", "link_spans")
    )
    linked = spans.select(other="row", other_kind="kind", link_traces="trace_id", link_spans="span_id")
    pairs = linking.join(linked, on=["link_traces", "link_spans"])
    handed = pairs.filter((pl.col("other_kind") == "send") & (pl.col("kind") == "process")).select("other", "row")
    by_id = (
        spans.filter((pl.col("kind") == "send") & (pl.col("message_id") != ""))
        .filter(pl.len().over("destination", "message_id") == 1)
        .select("destination", "message_id", other="row")
        .join(
            spans.filter((pl.col("kind") == "process") & (pl.col("message_id") != "")),
            on=["destination", "message_id"],
        )
        .select("other", "row")
    )
    handed = pl.concat([handed, by_id]).unique(maintain_order=True)
    loose = pairs.filter(~((pl.col("other_kind") == "send") & (pl.col("kind") == "process")) & ~pl.col("pending"))
    return [
        (3 * handed["other"].to_numpy() + START, 3 * handed["row"].to_numpy() + START, _H4),
        (3 * loose["other"].to_numpy() + START, 3 * loose["row"].to_numpy() + END, _LINK),
    ]


def _memory_order(memory: pl.DataFrame) -> list[Edges]:
    native = memory.filter((pl.col("version_kind") == "native") & (pl.col("version") != ""))
    written = (
        native.filter(pl.col("op").is_in(["write", "delete"]) & (pl.col("version") != "init"))
        .filter(pl.len().over("store", "key", "version") == 1)
        .select("store", "key", "version", writer="row", parents="parents")
    )
    read = native.filter(pl.col("op").is_in(["read", "search"]) & ~pl.col("failed"))
    seen = read.join(written, on=["store", "key", "version"])
    derived = (
        written.filter(pl.col("parents").list.len() > 0)
        .explode("parents")
        .join(written.select("store", "key", parents="version", source="writer"), on=["store", "key", "parents"])
        .filter(pl.col("source") != pl.col("writer"))
    )
    return [
        (3 * seen["writer"].to_numpy() + EFFECT, 3 * seen["row"].to_numpy() + EFFECT, _H5),
        (3 * derived["source"].to_numpy() + EFFECT, 3 * derived["writer"].to_numpy() + EFFECT, _H6),
    ]
