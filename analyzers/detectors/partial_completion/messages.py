"""Messages that were sent and not taken although their destination usually takes them sooner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.detectors.partial_completion.claims import Claims
from driftline.analyzers.detectors.partial_completion.places import Places
from driftline.analyzers.detectors.partial_completion.reach import receipts
from driftline.analyzers.detectors.partial_completion.shortfall import Judged, Shortfall
from driftline.analyzers.finding import stable_name

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

# Fewer say nothing of how long a destination usually takes.
_NEEDED = 20
# How much longer than the slowest known one a message must have waited: clocks differ, and queues have bad days.
_TIMES, _AT_LEAST_NS = 3, 1_000_000_000


def judge(record: Record, claims: Claims, explained: frozenset[int]) -> Judged:
    """Judge every message sent; *explained*: rows that another finding stands for."""
    spans = record.spans
    sent = spans.filter((pl.col("kind") == "send") & ~pl.col("pending") & (pl.col("status") != "error"))
    if sent.is_empty():
        return Judged()
    first = receipts(spans).join(spans.select(taken="row", taken_ns="start_ns"), on="taken")
    first = first.group_by(row="send").agg(taken_ns=pl.col("taken_ns").min())
    sent = sent.select("row", "run", "destination", "message_id", "start_ns", "clock", "replayed").join(
        first, on="row", how="left", maintain_order="left"
    )
    real = pl.col("clock") != "synthetic"
    usual = (
        sent.filter(pl.col("taken_ns").is_not_null())
        .group_by("destination")
        .agg(
            taken=pl.len(),
            timed=real.sum(),
            slowest=(pl.col("taken_ns") - pl.col("start_ns")).filter(real).max(),
        )
    )
    waiting = sent.filter(pl.col("taken_ns").is_null() & ~pl.col("replayed")).join(
        usual, on="destination", how="left", maintain_order="left"
    )
    out = Judged(judged=sent.height - waiting.height)
    out.unknown += _unknown(waiting)
    known = waiting.filter((pl.col("timed") >= _NEEDED) & real)
    now = pl.lit(spans.filter(real)["end_ns"].max(), dtype=pl.Int64)
    out.judged += known.height
    allowed = pl.max_horizontal(pl.col("slowest") * _TIMES, pl.lit(_AT_LEAST_NS))
    late = known.with_columns(waited=now - pl.col("start_ns")).filter(
        (pl.col("waited") > allowed) & ~pl.col("row").is_in(list(explained))
    )
    places = Places(record)
    for message in late.sort("row").iter_rows(named=True):
        if claims.admitted[message["row"]]:
            continue
        out.found.append(
            Shortfall(
                anomaly="unconsumed_message",
                grade="possible",
                run=message["run"],
                subject=message["destination"],
                signature=(stable_name(message["destination"]),),
                spans=((message["row"], "unconsumed"),),
                facts={
                    "message": {
                        "destination": message["destination"],
                        "id": message["message_id"],
                        "waited_ms": message["waited"] / 1e6,
                        "slowest_ms": max(message["slowest"], 0) / 1e6,
                        "taken": message["timed"],
                        **places.ref(message["row"]),
                    },
                    "course": [
                        {"name": message["destination"], "kind": "send", "state": "done", **places.ref(message["row"])},
                        {"name": message["destination"], "kind": "process", "state": "missing"},
                    ],
                },
                doubts=("its receipt may have been lost, or may still come",),
                explains=frozenset({message["row"]}),
            )
        )
    return out


def _unknown(waiting: pl.DataFrame) -> list[tuple[str, str]]:
    """By destination and run, why messages that were not taken are not judged."""
    grouped = (
        waiting.group_by("run", "destination", "clock", "taken", "timed").len().sort("run", "destination", "clock")
    )
    out = []
    for run, destination, clock, taken, timed, number in grouped.iter_rows():
        messages = f"{number} message{'s' if number > 1 else ''} to {destination} not taken: "
        if clock == "synthetic":
            out.append((run, f"{messages}the clocks are synthetic, so nothing can be said of delays"))
        elif not taken:
            out.append((run, f"{messages}no consumer of {destination} is in the record"))
        elif timed < _NEEDED:
            out.append((run, f"{messages}{timed} taken ones are known, {_NEEDED} are needed to know the usual delay"))
    return out
