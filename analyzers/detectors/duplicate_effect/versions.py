"""One version of a memory record made by two writes: one of them is not what readers of that version think."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from driftline.analyzers.finding import Grade

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

_VERSION = ("run", "store", "key", "version")


@dataclass(frozen=True)
class DuplicateVersion:
    """Writes (rows of `Record.memory` as dicts, in order) that all claim to have made one version."""

    grade: Grade
    run: str
    store: str
    key: str
    version: str
    writes: tuple[dict[str, Any], ...]


def duplicate_versions(
    record: Record, calls: pl.DataFrame, whole: Callable[[str], bool]
) -> tuple[list[DuplicateVersion], int]:
    """Versions with two writers that no retry links, and how many versions were looked at."""
    writes = record.memory.filter(
        pl.col("op").is_in(["write", "delete"])
        & (pl.col("version_kind") == "native")
        & (pl.col("version") != "")
        & (pl.col("write_status") != "rolled_back")
    )
    twice = writes.filter(pl.col("row").n_unique().over(_VERSION) > 1)
    if twice.is_empty():
        return [], writes.height
    twice = _without_layers(_with_spans(twice, record, calls), record)
    found = []
    for (run, store, key, version), group in twice.group_by(_VERSION, maintain_order=True):
        made = group.sort("start_ns", "row").to_dicts()
        distinct = _unlinked(made)
        if len(distinct) < 2:
            continue
        committed = [write for write in distinct if write["write_status"] == "committed"]
        contents = {write["digest"] for write in distinct if write["digest"]}
        sure = len(committed) > 1 and len(contents) != 1 and not any(write["orphan"] for write in distinct)
        found.append(
            DuplicateVersion(
                grade="definite" if sure and whole(str(run)) else "possible",
                run=str(run),
                store=str(store),
                key=str(key),
                version=str(version),
                writes=tuple(committed if sure else distinct),
            )
        )
    return found, writes.height


def _with_spans(writes: pl.DataFrame, record: Record, calls: pl.DataFrame) -> pl.DataFrame:
    """*writes* with what their span says, and the call they were made in."""
    spans = record.spans.select(
        "row", "trace_id", "span_id", "scope", "parent_id", "call_id", "replayed", "code_file", "code_line",
        orphan=(pl.col("parent_id") != "") & (pl.col("parent") < 0),
    )  # fmt: skip
    mask = np.zeros(record.spans.height, dtype=bool)
    mask[calls["row"].to_numpy()] = True
    holder = record.tree.nearest(mask)[writes["row"].to_numpy()]
    held = calls.select(holder="row", holder_call=pl.col("call_id"), holder_key="effect_key", holder_tool="tool")
    return (
        writes.drop("trace_id", "span_id")
        .with_columns(pl.Series("holder", holder))
        .join(spans, on="row", how="left", maintain_order="left")
        .filter(~pl.col("replayed"))
        .join(held, on="holder", how="left", maintain_order="left")
        .with_columns(pl.col("holder_call", "holder_key", "holder_tool").fill_null(""))
    )


def _without_layers(writes: pl.DataFrame, record: Record) -> pl.DataFrame:
    """One write seen by two instrumentations, nested or side by side, is one write."""
    mask = np.zeros(record.spans.height, dtype=bool)
    mask[writes["row"].to_numpy()] = True
    outer = pl.Series("outer", record.tree.nearest(mask, strict=True)[writes["row"].to_numpy()])
    writes = writes.with_columns(outer)
    around = writes.select(outer="row", outer_store="store", outer_key="key", outer_version="version").unique()
    nested = writes.join(around, on="outer").filter(
        (pl.col("store") == pl.col("outer_store"))
        & (pl.col("key") == pl.col("outer_key"))
        & (pl.col("version") == pl.col("outer_version"))
    )
    beside = writes.join(writes, on=["trace_id", "parent_id", *_VERSION], suffix="_2").filter(
        (pl.col("row") < pl.col("row_2"))
        & (pl.col("scope") != pl.col("scope_2"))
        & (pl.col("start_ns") <= pl.col("end_ns_2"))
        & (pl.col("start_ns_2") <= pl.col("end_ns"))
    )
    copies = [*nested["row"].to_list(), *beside["row_2"].to_list()]
    return writes.filter(~pl.col("row").is_in(copies))


def _unlinked(writes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """*writes* without those that a retry links to an earlier one: attempts of one call, or one idempotency key."""
    kept: list[dict[str, Any]] = []
    seen: set[tuple[str, ...]] = set()
    for write in writes:
        links = {
            link
            for link in (
                ("call", write["call_id"]),
                ("call", write["holder_call"]),
                ("key", write["holder_tool"], write["holder_key"]),
            )
            if link[-1]
        }
        if not links & seen:
            kept.append(write)
        seen |= links
    return kept
