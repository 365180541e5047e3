"""The edges of happens-before, each with the rule that draws it (WIRE, H1 to H6).

Nodes are events of spans: `3 * row` + START, EFFECT or END. H3 needs no edges of its own: it holds only within one
process, where the ticks of H1 show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from driftline.analyzers.memory_history import INIT, KEY

if TYPE_CHECKING:
    from driftline.analyzers.memory_history import MemoryHistory
    from driftline.analyzers.record import Record

Nodes = npt.NDArray[np.int64]

START, EFFECT, END = 0, 1, 2
# Where two rules draw one edge, the first of these names it.
WITHIN, H1, H4, H2, H5, H6, LINK = range(7)
RULES = ("", "H1", "H4", "H2", "H5", "H6", "link")


class Edges(NamedTuple):
    """Edges from `source` to `target`, by `rule` (a number: see `RULES`)."""

    source: Nodes
    target: Nodes
    rule: npt.NDArray[np.int8]


class Chain(NamedTuple):
    """The events of all processes with a sound logical clock, by process and tick."""

    node: Nodes
    process: Nodes


def edges(record: Record, history: MemoryHistory, chain: Chain, *, by_message_id: bool = False) -> Edges:
    """All edges of a record; with *by_message_id* also those that only the id of a message speaks for."""
    # What is played back tells when it was repeated: nothing follows from it but what its own process did next.
    spans = record.spans.with_columns(replayed=pl.Series(history.replayed))
    parts = [_within(spans), _program_order(chain), _parents(spans), *_links(spans, by_message_id=by_message_id)]
    parts += _memory_order(history)
    return Edges(
        np.concatenate([source for source, _, _ in parts]).astype(np.int64),
        np.concatenate([target for _, target, _ in parts]).astype(np.int64),
        np.concatenate([np.full(len(source), rule, dtype=np.int8) for source, _, rule in parts]),
    )


def program_chain(spans: pl.DataFrame) -> Chain:
    """The ticks of all processes, in order.

    A tick given twice, or one process on two hosts, shows that a clock is not one: it orders nothing.
    """
    timed = spans.filter(pl.col("proc") != "")
    ticks = pl.concat(
        [
            timed.select("proc", tick="seq", node=3 * pl.col("row") + START),
            timed.filter(pl.col("seq_end").is_not_null() & ~pl.col("pending")).select(
                "proc", tick="seq_end", node=3 * pl.col("row") + END
            ),
        ]
    )
    broken = ticks.filter(pl.len().over("proc", "tick") > 1).select("proc").unique()
    backwards = timed.filter(~pl.col("pending") & (pl.col("seq_end") <= pl.col("seq"))).select("proc").unique()
    shared = timed.group_by("proc").agg(pl.col("host").n_unique()).filter(pl.col("host") > 1).select("proc")
    ordered = ticks.join(pl.concat([broken, backwards, shared]), on="proc", how="anti").sort("proc", "tick")
    return Chain(ordered["node"].to_numpy(), ordered["proc"].rank("dense").cast(pl.Int64).to_numpy())


_Part = tuple[Nodes, Nodes, int]


def _within(spans: pl.DataFrame) -> _Part:
    rows = spans["row"].to_numpy()
    ended = spans.filter(~pl.col("pending"))["row"].to_numpy()
    return (
        np.concatenate([3 * rows + START, 3 * ended + EFFECT]),
        np.concatenate([3 * rows + EFFECT, 3 * ended + END]),
        WITHIN,
    )


def _program_order(chain: Chain) -> _Part:
    same = chain.process[:-1] == chain.process[1:]
    return chain.node[:-1][same], chain.node[1:][same], H1


def _parents(spans: pl.DataFrame) -> _Part:
    caller = spans.select(parent="row", called_again="replayed")
    inside = spans.filter(pl.col("parent") >= 0).join(caller, on="parent", maintain_order="left")
    inside = inside.filter(~pl.col("called_again"))
    return 3 * inside["parent"].to_numpy() + START, 3 * inside["row"].to_numpy() + START, H2


def _links(spans: pl.DataFrame, *, by_message_id: bool) -> list[_Part]:
    linking = (
        spans.filter(pl.col("link_traces").list.len() > 0)
        .select("row", "kind", "pending", "link_traces", "link_spans")
        .explode("link_traces", "link_spans")
    )
    linked = spans.select(
        other="row", other_kind="kind", replayed="replayed", link_traces="trace_id", link_spans="span_id"
    )
    pairs = linking.join(linked, on=["link_traces", "link_spans"]).filter(pl.col("row") != pl.col("other"))
    received = (pl.col("other_kind") == "send") & (pl.col("kind") == "process")
    handed = pl.concat(
        [pairs.filter(received & ~pl.col("replayed")).select("other", "row"), _as_children(spans)]
    ).unique(maintain_order=True)
    if by_message_id:
        handed = pl.concat([handed, _by_message_id(spans, handed)])
    loose = pairs.filter(~received & ~pl.col("pending") & ~pl.col("replayed"))
    return [
        (3 * handed["other"].to_numpy() + START, 3 * handed["row"].to_numpy() + START, H4),
        (3 * loose["other"].to_numpy() + START, 3 * loose["row"].to_numpy() + END, LINK),
    ]


def _as_children(spans: pl.DataFrame) -> pl.DataFrame:
    """Receipts that name their sender as parent, as messaging clients with context propagation write them."""
    sent = spans.filter((pl.col("kind") == "send") & ~pl.col("replayed")).select(other="row")
    return sent.join(spans.filter(pl.col("kind") == "process"), left_on="other", right_on="parent").select(
        "other", "row"
    )


def _by_message_id(spans: pl.DataFrame, handed: pl.DataFrame) -> pl.DataFrame:
    """Receipts without a link to their sender, where one run sent a message of that id to that destination once."""
    message = ["run", "destination", "message_id"]
    known = spans.filter((pl.col("message_id") != "") & (pl.col("destination") != ""))
    sent = (
        known.filter((pl.col("kind") == "send") & ~pl.col("replayed"))
        .filter(pl.len().over(message) == 1)
        .select(*message, other="row")
    )
    taken = known.filter(pl.col("kind") == "process").join(handed, on="row", how="anti")
    return sent.join(taken, on=message).select("other", "row")


def named_by_id(spans: pl.DataFrame) -> bool:
    """Whether some receipt names its message by an id alone."""
    receipts = spans.filter((pl.col("kind") == "process") & (pl.col("message_id") != ""))
    return not receipts.filter((pl.col("link_traces").list.len() == 0) & (pl.col("parent") < 0)).is_empty()


def _memory_order(history: MemoryHistory) -> list[_Part]:
    version = [*KEY, "version"]
    written = history.writes.filter(pl.col("native") & pl.col("single")).select(*version, "parents", writer="row")
    read = history.reads.filter(pl.col("native") & (pl.col("version") != "") & (pl.col("version") != INIT))
    seen = read.join(written, on=version)
    derived = (
        written.filter(pl.col("parents").list.len() > 0)
        .explode("parents")
        .join(written.select(*KEY, parents="version", source="writer"), on=[*KEY, "parents"])
    )
    return [
        (3 * seen["writer"].to_numpy() + EFFECT, 3 * seen["row"].to_numpy() + EFFECT, H5),
        (3 * derived["source"].to_numpy() + EFFECT, 3 * derived["writer"].to_numpy() + EFFECT, H6),
    ]
