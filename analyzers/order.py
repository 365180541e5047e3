"""Happens-before over a record: the only orders that make a finding definite (WIRE, rules H1 to H6).

Every span has three events: its start, its effect (the moment a memory operation took place, somewhere between start
and end) and its end. Edges:

- H1 within one process, by the ticks of its logical clock; H3 (a child's end before its parent's next operation) is
  part of it, as both carry ticks of the same process
- H2 from a parent's start to its child's start, never from the parent's end
- H4 from a hand-off's start to the start of the receipt that links to it or is its child; any other link only says that
  the linked span began before the linking one ended
- H5 from the write of a version to every read of it; H6 from the write of a version to the write of its child; both
  only for native version ids with a single producer

Nothing is concluded from wall clocks. They only say where to search: `moment` raises the recorded times until no edge
points backwards, so an event with a later moment cannot have come first, and a search need not leave the span of
moments between its two ends. A cycle means that the record contradicts itself: nothing is concluded through it.

Sources: Lamport 1978 (happens-before); the rules' reasons are in docs/detectors/stale_context.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from driftline.analyzers.order_edges import EFFECT, END, RULES, START, Chain, Edges, Nodes, edges, program_chain

if TYPE_CHECKING:
    from driftline.analyzers.memory_history import MemoryHistory
    from driftline.analyzers.record import Record

__all__ = ["EFFECT", "END", "START", "HappensBefore", "Hop", "Search"]

# Rounds of raising moments along messages; a record that needs more is searched without bounds.
_ROUNDS = 100
# A search that reaches no more events than this goes step by step; a larger one is handed to scipy at once.
_FEW = 500


@dataclass(frozen=True)
class Hop:
    """One step of a witness: by *rule*, the event (*from_row*, *from_event*) came before (*to_row*, *to_event*)."""

    rule: str
    from_row: int
    from_event: int
    to_row: int
    to_event: int


class HappensBefore:
    """Which event of the record is known to have come before which. Events are (row of the span, event).

    `spent`: how many events all searches so far had to look at. *by_message_id*: hand-offs that nothing but the id of
    the message shows are taken for such too; what then follows is likely, not proved.
    """

    def __init__(self, record: Record, history: MemoryHistory, *, by_message_id: bool = False) -> None:
        self.by_message_id = by_message_id
        spans = record.spans
        self._size = 3 * spans.height
        self.spent = 0
        self._parent = record.tree.parent
        self._seq, self._seq_end = (spans[name].fill_null(-1).to_numpy() for name in ("seq", "seq_end"))
        chain = program_chain(spans)
        self._process = np.full(spans.height, -1, dtype=np.int64)
        self._process[chain.node // 3] = chain.process
        drawn = edges(record, history, chain, by_message_id=by_message_id)
        self.contradicted = self._on_cycles(drawn)
        sound = ~(self.contradicted[drawn.source] | self.contradicted[drawn.target])
        self._edges = Edges(drawn.source[sound], drawn.target[sound], drawn.rule[sound])
        self.moment = _moments(_times(record), self._edges, chain)
        self._arrange()

    def before(self, row: int, event: int, since: int, *, without: Iterable[int] = ()) -> Search:
        """What came before an event, looking back to the moment *since*.

        *without*: rows of spans whose effects are disregarded, as if these spans had seen nothing.
        """
        return Search(self, 3 * row + event, since, without=without, forward=False)

    def after(self, row: int, event: int, until: int) -> Search:
        """What came after an event, looking ahead to the moment *until*."""
        return Search(self, 3 * row + event, until, without=(), forward=True)

    def same_process(self, row: int, other: int) -> bool:
        """Whether both spans carry ticks of one sound logical clock."""
        return bool(self._process[row] >= 0 and self._process[row] == self._process[other])

    def hops(self, *legs: list[int]) -> list[Hop]:
        """Paths of events, each going on from the last, as steps a person can follow.

        All moves of a leg within one process are one step.
        """
        found: list[Hop] = []
        for number, leg in enumerate(legs):
            if number and legs[number - 1][-1] != leg[0]:
                found += self._steps([legs[number - 1][-1], leg[0]])
            found += self._steps(leg)
        return found

    def _steps(self, nodes: list[int]) -> list[Hop]:
        found: list[Hop] = []
        place = 0
        while place < len(nodes) - 1:
            source = nodes[place]
            ahead = next(
                (n for n in range(len(nodes) - 1, place, -1) if self._ticks_apart(source, nodes[n])), place + 1
            )
            target = nodes[ahead]
            rule = "H1" if self._ticks_apart(source, target) else self._rule_of(source, target)
            if rule == "H1" and self._parent[source // 3] == self._parent[target // 3] >= 0:
                rule = "H3"
            if rule:
                found.append(Hop(rule, source // 3, source % 3, target // 3, target % 3))
            place = ahead
        return found

    def _ticks_apart(self, source: int, target: int) -> bool:
        """Whether the clock of one process shows that *source* came before *target*, of two different spans."""
        first, second = source // 3, target // 3
        if first == second or not self.same_process(first, second):
            return False
        left = self._seq[first] if source % 3 == START else self._seq_end[first]
        right = self._seq_end[second] if target % 3 == END else self._seq[second]
        return bool(0 <= left < right)

    def _rule_of(self, source: int, target: int) -> str:
        keys, order = self._keys
        wanted = source * self._size + target
        first, last = np.searchsorted(keys, [wanted, wanted + 1])
        return RULES[int(self._edges.rule[order[first:last]].min())]

    @cached_property
    def _keys(self) -> tuple[Nodes, Nodes]:
        keys = self._edges.source * self._size + self._edges.target
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def _on_cycles(self, drawn: Edges) -> npt.NDArray[np.bool_]:
        """The nodes that lie on a cycle."""
        if not self._size:
            return np.empty(0, dtype=bool)
        _, component = connected_components(
            _graph(drawn.source, drawn.target, self._size), directed=True, connection="strong"
        )
        looped = np.zeros(self._size, dtype=bool)
        looped[drawn.source[drawn.source == drawn.target]] = True
        return np.asarray((np.bincount(component)[component] > 1) | looped)

    def _arrange(self) -> None:
        """Numbers the nodes by connected component and moment, so that a search reads one slice of the graph."""
        drawn, size = self._edges, self._size
        if not size:
            return
        _, component = connected_components(_graph(drawn.source, drawn.target, size), directed=False)
        order = np.lexsort((self.moment, component))
        self.place = np.empty(size, dtype=np.int64)
        self.place[order] = np.arange(size)
        self._node = order
        self._moments = self.moment[order]
        self._component = component
        self._begin = np.concatenate([[0], np.cumsum(np.bincount(component))])

    def window(self, node: int, low: int, high: int) -> tuple[int, int]:
        """The places of the nodes connected to *node* with moments from *low* to *high*."""
        first, last = self._begin[self._component[node]], self._begin[self._component[node] + 1]
        moments = self._moments[first:last]
        return (
            int(first + np.searchsorted(moments, low, side="left")),
            int(first + np.searchsorted(moments, high, side="right")),
        )

    def node_at(self, place: int) -> int:
        """The node at a place."""
        return int(self._node[place])

    @cached_property
    def messages(self) -> tuple[Nodes, Nodes, Nodes]:
        """The hand-offs of the record by place of receipt: places, rows of senders, rows of receivers."""
        chosen = self._edges.rule == RULES.index("H4")
        senders, receivers = self._edges.source[chosen], self._edges.target[chosen]
        places = self.place[receivers]
        order = np.argsort(places, kind="stable")
        return places[order], senders[order] // 3, receivers[order] // 3

    @cached_property
    def backward(self) -> csr_array:
        """By place: from an event to what came just before it."""
        return _graph(self.place[self._edges.target], self.place[self._edges.source], self._size)

    @cached_property
    def forward(self) -> csr_array:
        """By place: from an event to what came just after it."""
        return _graph(self.place[self._edges.source], self.place[self._edges.target], self._size)


class Search:
    """What is known to have come before (or after) one event, and by which path."""

    def __init__(self, order: HappensBefore, node: int, limit: int, *, without: Iterable[int], forward: bool) -> None:
        self._order, self._node, self._forward = order, node, forward
        moment = int(order.moment[node])
        low, high = (moment, max(limit, moment)) if forward else (min(limit, moment), moment)
        self._window = window = order.window(node, low, high)
        graph = order.forward if forward else order.backward
        blocked = {int(order.place[3 * row + EFFECT]) for row in without}
        start = int(order.place[node])
        towards = _step_by_step(graph, start, window, blocked)
        order.spent += window[1] - window[0] if towards is None else len(towards)
        found = _at_once(graph, start, window, blocked) if towards is None else _gathered(towards)
        self._reached, self._towards = found

    def holds(self, row: int, event: int) -> bool:
        """Whether that event is known to have come before (after) ours."""
        return bool(self.holding(np.array([row]), event)[0])

    def holding(self, rows: Nodes, event: int) -> npt.NDArray[np.bool_]:
        """For each of *rows* whether that event is known to have come before (after) ours."""
        nodes = 3 * rows + event
        found, _ = self._find(self._order.place[nodes])
        return np.asarray(found & (nodes != self._node))

    def _find(self, places: Nodes) -> tuple[npt.NDArray[np.bool_], Nodes]:
        at = np.minimum(np.searchsorted(self._reached, places), len(self._reached) - 1)
        return self._reached[at] == places, at

    def received(self) -> tuple[Nodes, Nodes]:
        """The hand-offs received before (after) ours: rows of senders and receivers."""
        places, senders, receivers = self._order.messages
        first, last = np.searchsorted(places, self._window)
        held = self.holding(receivers[first:last], START)
        return senders[first:last][held], receivers[first:last][held]

    def path(self, row: int, event: int) -> list[Hop]:
        """The shortest witness between that event and ours, in order of time."""
        return self._order.hops(self.nodes(row, event))

    def nodes(self, row: int, event: int) -> list[int]:
        """As `path`, as the numbers of the events, for `HappensBefore.hops`."""
        at, found = int(self._order.place[3 * row + event]), []
        while at >= 0:
            found.append(self._order.node_at(at))
            at = int(self._towards[np.searchsorted(self._reached, at)])
        return found[::-1] if self._forward else found


def _step_by_step(graph: csr_array, start: int, window: tuple[int, int], blocked: set[int]) -> dict[int, int] | None:
    """Breadth-first search inside *window*: each place reached, and the one it was reached from. None: too many."""
    first, following = graph.indptr, graph.indices
    low, high = window
    towards, fresh = {start: -1}, [start]
    for place in fresh:
        if place in blocked:
            continue
        for ahead in following[first[place] : first[place + 1]].tolist():
            if low <= ahead < high and ahead not in towards:
                towards[ahead] = place
                fresh.append(ahead)
        if len(fresh) > _FEW:
            return None
    return towards


def _gathered(towards: dict[int, int]) -> tuple[Nodes, Nodes]:
    reached = np.fromiter(towards, dtype=np.int64, count=len(towards))
    order = np.argsort(reached)
    return reached[order], np.fromiter(towards.values(), dtype=np.int64, count=len(towards))[order]


def _at_once(graph: csr_array, start: int, window: tuple[int, int], blocked: set[int]) -> tuple[Nodes, Nodes]:
    """As `_step_by_step`, for many places: those reached, in order, and for each the one it was reached from."""
    low, high = window
    part = _cut(graph[low:high, low:high], [place - low for place in blocked])
    reached, towards = breadth_first_order(part, start - low, directed=True, return_predecessors=True)
    reached = np.sort(reached)
    came_from = towards[reached].astype(np.int64) + low
    came_from[np.searchsorted(reached, start - low)] = -1
    return reached.astype(np.int64) + low, came_from


def _graph(source: Nodes, target: Nodes, size: int) -> csr_array:
    return csr_array((np.ones(len(source)), (source, target)), shape=(size, size))


def _cut(graph: csr_array, places: list[int]) -> csr_array:
    """*graph* without the edges that leave *places*."""
    chosen = [place for place in places if 0 <= place < graph.shape[0]]
    if not chosen:
        return graph
    kept = graph.tocoo()
    stays = ~np.isin(kept.coords[0], chosen)
    return _graph(kept.coords[0][stays], kept.coords[1][stays], graph.shape[0])


def _times(record: Record) -> Nodes:
    started, ended = record.spans["start_ns"].to_numpy(), record.spans["end_ns"].to_numpy()
    return np.stack([started, started, np.maximum(started, ended)], axis=1).reshape(-1)


def _moments(times: Nodes, drawn: Edges, chain: Chain) -> Nodes:
    """The least numbers, not below the ranks of *times*, that never fall along an edge."""
    moment = np.unique(times, return_inverse=True)[1].reshape(-1).astype(np.int64)
    offset = chain.process * (len(moment) + 1)
    for _ in range(_ROUNDS):
        before = moment.copy()
        # Along a chain in one go: a running maximum, each process on a level of its own.
        moment[chain.node] = np.maximum.accumulate(moment[chain.node] + offset) - offset
        np.maximum.at(moment, drawn.target, moment[drawn.source])
        if np.array_equal(before, moment):
            return moment
    return np.zeros_like(moment)
