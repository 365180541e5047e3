"""The memory operations of a record that are evidence, and which write made which version.

Version ids are unique within a store. Where several runs have each made the same version of a key, the store was
evidently begun anew for each of them: the key is then a key of its own in every run (its *world*).

Left out are operations that a durable engine or a cache played back: they say when something was repeated, not when it
happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

INIT = "init"
KEY = ("store", "key", "world")
READS = ("read", "search")
WRITES = ("write", "delete")

# So many instrumentations at most see one write.
_LAYERS = 4


class MemoryHistory:
    """What happened to the memory of a record.

    `replayed`: by row, whether the span or one around it was played back. `ops`: the columns of `Record.memory`, plus
    `world` and `native` (version ids of the store itself). `writes`: those of `ops` that made a version, plus `single`
    (no other write claims that version) and `linked` (all others that do are attempts of the same call, or layers of
    the same write).
    """

    def __init__(self, record: Record) -> None:
        self.replayed = record.tree.nearest(record.spans["replayed"].to_numpy()) >= 0
        ops = record.memory.filter(~pl.Series(self.replayed[record.memory["row"].to_numpy()], dtype=pl.Boolean))
        self.ops = ops.join(_remade(ops), on=["store", "key"], how="left", maintain_order="left").with_columns(
            world=pl.when(pl.col("remade")).then("run").otherwise(pl.lit("")),
            native=pl.col("version_kind") == "native",
        )
        made = self.ops.filter(_makes_version()).with_columns(single=pl.len().over(*KEY, "version") == 1)
        linked = _linked(made.filter(~pl.col("single")), record)
        self.writes = made.join(linked, on="row", how="left", maintain_order="left").with_columns(
            pl.col("linked").fill_null(value=False)
        )
        self.reads = self.ops.filter(pl.col("op").is_in(READS) & ~pl.col("failed"))


def ordered_versions() -> pl.Expr:
    """Operations whose version may be ordered: digests tell contents apart and never order anything."""
    return (pl.col("version") != "") & ~pl.col("version_kind").is_in(["digest", "none"])


def _makes_version() -> pl.Expr:
    return pl.col("op").is_in(WRITES) & ordered_versions() & (pl.col("version") != INIT)


def _remade(ops: pl.DataFrame) -> pl.DataFrame:
    """Keys of which more than one run made the same version."""
    return (
        ops.filter(_makes_version())
        .group_by("store", "key", "version")
        .agg(pl.col("run").n_unique())
        .filter(pl.col("run") > 1)
        .select("store", "key")
        .unique()
        .with_columns(remade=pl.lit(value=True))
    )


def _linked(twice: pl.DataFrame, record: Record) -> pl.DataFrame:
    """Of writes that share their version: those that are attempts of one call, or layers of one write."""
    calls = record.tree.inherited(record.spans["call_id"])
    found: list[int] = []
    for members in twice.group_by(*KEY, "version").agg("row")["row"].to_list():
        ids = {calls[row] for row in members}
        if (len(ids) == 1 and "" not in ids) or _nested(set(members), record) or _side_by_side(members, record):
            found += members
    return pl.DataFrame({"row": found}, schema={"row": pl.Int64}).unique().with_columns(linked=pl.lit(value=True))


def _nested(members: set[int], record: Record) -> bool:
    """Whether all of *members* but one lie inside another of them."""
    parent, outermost = record.tree.parent, 0
    for row in members:
        above, steps = int(parent[row]), 0
        while above >= 0 and above not in members and steps < record.tree.size:
            above, steps = int(parent[above]), steps + 1
        outermost += above not in members
    return outermost == 1


def _side_by_side(members: list[int], record: Record) -> bool:
    """Whether *members* are one write seen at the same time by as many instrumentations, under one parent."""
    if len(members) > _LAYERS:
        return False
    spans = record.spans[members]
    return bool(
        (spans["parent"] >= 0).all()
        and spans["parent"].n_unique() == 1
        and spans["scope"].n_unique() == len(members)
        and spans["start_ns"].max() <= spans["end_ns"].min()  # type: ignore[operator]
    )
