"""Who touched which version: reads, derivations, and the versions that effects were based on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.effects import WRITES
from driftline.analyzers.lineage import INIT

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.record import Record


@dataclass(frozen=True)
class Touch:
    """Span *row* touched *version* of a key: `read` it, `derived` a version from it, or an `effect` was based on it.

    *sure*: the dependence and the unit of work are recorded, not inferred.
    """

    row: int
    store: str
    key: str
    version: str
    how: str
    native: bool
    sure: bool


def touches(record: Record, config: Config) -> list[Touch]:
    """All touches of versions that may have been replaced, in order of recording."""
    keys = _changing_keys(record.memory)
    return [*_reads(record.memory, keys), *_derivations(record.memory, keys), *_effects(record, config, keys)]


def unversioned(memory: pl.DataFrame) -> pl.DataFrame:
    """Reads whose version is not known, by run: columns `run`, `len`."""
    reads = memory.filter(pl.col("op") == "read")
    blind = (pl.col("version") == "") | pl.col("version_kind").is_in(["digest", "none"])
    return reads.filter(blind).group_by("run").len()


def _changing_keys(memory: pl.DataFrame) -> pl.DataFrame:
    written = memory.filter(pl.col("op").is_in(["write", "delete"]) & (pl.col("version") != ""))
    return written.select("store", "key").unique()


def _reads(memory: pl.DataFrame, keys: pl.DataFrame) -> list[Touch]:
    reads = memory.filter(
        pl.col("op").is_in(["read", "search"])
        & (pl.col("version") != "")
        & ~pl.col("version_kind").is_in(["digest", "none"])
        & ~pl.col("failed")
    ).join(keys, on=["store", "key"], how="semi")
    return _built(_outdated(reads, memory), "read")


def _derivations(memory: pl.DataFrame, keys: pl.DataFrame) -> list[Touch]:
    """A version derived from a deleted one."""
    graves = memory.filter(pl.col("op") == "delete").select("store", "key").unique()
    derived = (
        memory.filter((pl.col("op") == "write") & (pl.col("write_status") == "committed"))
        .join(graves, on=["store", "key"], how="semi")
        .join(keys, on=["store", "key"], how="semi")
        .with_columns(version=pl.col("parents"))
        .explode("version")
        .filter(pl.col("version").is_not_null() & ~pl.col("version").is_in(["", INIT]))
    )
    return _built(derived, "derived")


def _effects(record: Record, config: Config, keys: pl.DataFrame) -> list[Touch]:
    calls = record.executions(config).filter(
        (pl.col("used").list.len() > 0)
        & pl.col("effect").is_in(WRITES)
        & pl.col("outcome").is_in(["applied", "unknown"])
        & ~pl.col("replayed")
    )
    known = {(store, key) for store, key in keys.iter_rows()}
    found = []
    for row, used, source, outcome, sure in calls.select("row", "used", "effect_source", "outcome", "sure").iter_rows():
        certain = source in ("explicit", "catalogue") and outcome == "applied" and sure
        for reference in used:
            target = _resolve(reference, known)
            if target:
                found.append(Touch(row, *target, "effect", native=True, sure=certain))
    return found


def _resolve(reference: str, known: set[tuple[str, str]]) -> tuple[str, str, str] | None:
    """(store, key, version) of `STORE/KEY@VERSION`; None if the version is unknown or the key never changed.

    The last `@` splits off the version. Store and key may both hold `/`: the record's own keys decide.
    """
    place, at, version = reference.rpartition("@")
    if not at or not version:
        return None
    parts = place.split("/")
    for cut in range(1, len(parts)):
        store, key = "/".join(parts[:cut]), "/".join(parts[cut:])
        if (store, key) in known:
            return store, key, version
    return None


def _outdated(reads: pl.DataFrame, memory: pl.DataFrame) -> pl.DataFrame:
    """Only reads of versions that some write replaced: the rest is fresh, however many there are."""
    writes = memory.filter(pl.col("op").is_in(["write", "delete"]))
    replaced = writes.select("store", "key", version="parents").explode("version").drop_nulls("version").unique()
    ordinals = writes.group_by("store", "key").agg(highest=pl.col("ordinal").max())
    mine = (
        writes.filter(pl.col("ordinal").is_not_null())
        .group_by("store", "key", "version")
        .agg(mine=pl.col("ordinal").min())
    )
    marked = (
        reads.join(replaced.with_columns(replaced=pl.lit(value=True)), on=["store", "key", "version"], how="left")
        .join(ordinals, on=["store", "key"], how="left")
        .join(mine, on=["store", "key", "version"], how="left")
    )
    behind = (pl.col("mine") < pl.col("highest")).fill_null(value=False)
    return marked.filter(pl.col("replaced").fill_null(value=False) | behind | (pl.col("version") == INIT)).sort("row")


def _built(frame: pl.DataFrame, how: str) -> list[Touch]:
    columns = ("row", "store", "key", "version", "version_kind")
    return [
        Touch(row, store, key, version, how, native=kind == "native", sure=True)
        for row, store, key, version, kind in frame.select(columns).iter_rows()
    ]
