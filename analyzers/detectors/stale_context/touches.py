"""Who touched which version: reads, derivations, and the versions that effects were based on.

A touch is kept only if something newer may have come before it: by `moment` (see order.py), which no version that was
replaced later passes. So the costly questions are asked of few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.effects import WRITES as EFFECTS
from driftline.analyzers.memory_history import INIT, KEY, MemoryHistory, ordered_versions
from driftline.analyzers.order import EFFECT, START, HappensBefore

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.lineage import Key
    from driftline.analyzers.record import Record

_TOUCH = ("row", *KEY, "version", "how", "native", "doubt", "undone")


_SURE = {"doubt": pl.lit(""), "undone": pl.lit(value=False)}


@dataclass(frozen=True)
class Touch:
    """Span *row* touched *version* of a key: `read` it, `derived` a version from it, or an `effect` was based on it.

    *beside*: the other versions of that key it touched. *doubt*: what is not recorded but inferred about it; '' =
    nothing. *undone*: an effect that another call compensated.
    """

    row: int
    key: Key
    version: str
    how: str
    native: bool
    beside: frozenset[str]
    doubt: str
    undone: bool


def touches(
    record: Record, config: Config, history: MemoryHistory, order: HappensBefore
) -> tuple[list[Touch], pl.DataFrame]:
    """The touches of versions that may have been replaced by then, in order of recording; and all uses by effects.

    Uses: columns `row`, `run`, `version` ('' = unknown).
    """
    used = _used(record, config, history)
    known = history.writes.select(KEY).unique()
    every = pl.concat(
        [_reads(history), _derivations(history), used.filter(pl.col("version") != "").select(_TOUCH)]
    ).join(known, on=KEY, how="semi")
    late = _late(every, history, order)
    together = every.group_by("row", *KEY, "how").agg(beside="version")
    late = late.join(together, on=["row", *KEY, "how"], how="left").sort("row", *KEY, "version")
    found = [
        Touch(row, (store, key, world), version, how, native, frozenset(beside) - {version}, doubt, undone)
        for row, store, key, world, version, how, native, doubt, undone, beside in late.select(
            *_TOUCH, "beside"
        ).iter_rows()
    ]
    return found, used.select("row", "run", "version")


def unversioned(history: MemoryHistory) -> pl.DataFrame:
    """Reads whose version is not known, or orders nothing, by run: columns `run`, `len`."""
    return history.reads.filter((pl.col("op") == "read") & ~ordered_versions()).group_by("run").len()


def without_key(record: Record) -> pl.DataFrame:
    """Reads that do not say of what, by run: columns `run`, `len`. A search without keys has found nothing."""
    reads = record.spans.filter((pl.col("operation") == "read_memory") & (pl.col("status") != "error"))
    return reads.join(record.memory.select("row"), on="row", how="anti").group_by("run").len()


def _reads(history: MemoryHistory) -> pl.DataFrame:
    return (
        history.reads.filter(ordered_versions())
        .select("row", *KEY, "version", "native", how=pl.lit("read"), **_SURE)
        .select(_TOUCH)
    )


def _derivations(history: MemoryHistory) -> pl.DataFrame:
    """Versions derived from others, of keys of which something was deleted."""
    graves = history.writes.filter(pl.col("op") == "delete").select(KEY).unique()
    return (
        history.writes.filter((pl.col("op") == "write") & (pl.col("write_status") == "committed"))
        .join(graves, on=KEY, how="semi")
        .select("row", *KEY, "native", version="parents", how=pl.lit("derived"), **_SURE)
        .explode("version")
        .filter(pl.col("version").is_not_null() & ~pl.col("version").is_in(["", INIT]))
        .select(_TOUCH)
    )


def _used(record: Record, config: Config, history: MemoryHistory) -> pl.DataFrame:
    """What effects say they were based on, by reference STORE/KEY@VERSION.

    The last `@` splits off the version. Store and key may both hold `/`: the record's own keys decide; where two of
    them fit, both are looked at, in doubt.
    """
    calls = record.executions(config)
    undone = calls.filter((pl.col("compensates") != "") & (pl.col("outcome") == "applied")).select(
        "run", call_id="compensates", undone=pl.lit(value=True)
    )
    calls = _attempts(calls).filter(
        (pl.col("used").list.len() > 0)
        & pl.col("effect").is_in(EFFECTS)
        & pl.col("outcome").is_in(["applied", "unknown"])
        & (pl.col("before") != "applied")
    )
    calls = calls.filter(~pl.Series(history.replayed[calls["row"].to_numpy()], dtype=pl.Boolean) & ~pl.col("replayed"))
    doubt = (
        pl.when(~pl.col("effect_source").is_in(["explicit", "catalogue"]))
        .then(pl.lit("that the call changes anything is only inferred"))
        .when(pl.col("outcome") != "applied")
        .then(pl.lit("whether the effect was applied is unknown"))
        .when(pl.col("before") == "unknown")
        .then(pl.lit("an earlier attempt may have been applied, and the receiver accepts a repeat only once"))
        .when(~pl.col("sure"))
        .then(pl.lit("the call may be a fragment of another one"))
        .otherwise(pl.lit(""))
    )
    references = (
        calls.join(undone.unique(), on=["run", "call_id"], how="left", maintain_order="left")
        .select(
            "row",
            "run",
            "used",
            undone=pl.col("undone").fill_null(value=False),
            call_doubt=doubt,
            how=pl.lit("effect"),
            native=pl.lit(value=True),
        )
        .explode("used")
        .filter(pl.col("used").str.contains("@", literal=True))
        .with_columns(
            place=pl.col("used").str.replace(r"@[^@]*$", ""), version=pl.col("used").str.extract(r"@([^@]*)$")
        )
        .unique(["row", "used"], maintain_order=True)
    )
    places = _places(history)
    told_apart = (
        pl.when((pl.col("call_doubt") == "") & (pl.col("readings") > 1))
        .then(pl.lit("the reference may name a key of two stores"))
        .otherwise("call_doubt")
    )
    return (
        references.join(places, on="place", how="left", maintain_order="left")
        # A digest names a content, not a state: what was used is then as good as unknown.
        .with_columns(version=pl.when(pl.col("unordered")).then(pl.lit("")).otherwise("version"))
        .with_columns(world=pl.when(pl.col("remade")).then("run").otherwise(pl.lit("")), doubt=told_apart)
        .select("run", *_TOUCH)
    )


def _places(history: MemoryHistory) -> pl.DataFrame:
    """What STORE/KEY may mean: `store`, `key`, how many `readings` there are, whether its versions are `unordered`."""
    return (
        history.ops.group_by("store", "key")
        .agg(
            remade=pl.col("remade").fill_null(value=False).any(),
            unordered=pl.col("version_kind").is_in(["digest", "none"]).all(),
        )
        .with_columns(place=pl.col("store") + "/" + pl.col("key"))
        .with_columns(readings=pl.len().over("place"))
        .sort("store", "key")
    )


def _attempts(calls: pl.DataFrame) -> pl.DataFrame:
    """*calls* with `before`: what came of the earlier attempts of a call whose receiver accepts a repeat only once."""
    earlier = (
        calls.filter((pl.col("call_id") != "") & ~pl.col("replayed") & pl.col("outcome").is_in(["applied", "unknown"]))
        .sort("row")
        .group_by("call")
        .agg(
            applied_row=pl.col("row").filter(pl.col("outcome") == "applied").min(),
            unknown_row=pl.col("row").filter(pl.col("outcome") == "unknown").min(),
        )
    )
    once = pl.col("idempotent").fill_null(value=False)
    return calls.join(earlier, on="call", how="left", maintain_order="left").with_columns(
        before=pl.when(once & (pl.col("applied_row") < pl.col("row")))
        .then(pl.lit("applied"))
        .when(once & (pl.col("unknown_row") < pl.col("row")))
        .then(pl.lit("unknown"))
        .otherwise(pl.lit(""))
    )


def _late(every: pl.DataFrame, history: MemoryHistory, order: HappensBefore) -> pl.DataFrame:
    """Those of *every* touch before which a newer write of the key may have taken effect."""
    writes = history.writes
    timed = writes.with_columns(at=pl.Series(order.moment[3 * writes["row"].to_numpy() + EFFECT], dtype=pl.Int64))
    # A native version with one writer comes after its parent, so the children of a version bound all that follows it.
    plain = (pl.col("single") & pl.col("native") & ~pl.col("blind") & pl.col("ordinal").is_null()).all()
    keys = timed.group_by(KEY).agg(plain=plain, any_write=pl.col("at").min())
    children = (
        timed.select(*KEY, "at", version="parents")
        .explode("version")
        .drop_nulls("version")
        .group_by(*KEY, "version")
        .agg(any_child=pl.col("at").min())
    )
    bound = pl.when(pl.col("plain") & (pl.col("version") != INIT)).then("any_child").otherwise("any_write")
    moments = pl.Series(order.moment[3 * every["row"].to_numpy() + START], dtype=pl.Int64)
    return (
        every.with_columns(begins=moments)
        .join(keys, on=KEY, how="left", maintain_order="left")
        .join(children, on=[*KEY, "version"], how="left", maintain_order="left")
        .filter(bound <= pl.col("begins"))
    )
