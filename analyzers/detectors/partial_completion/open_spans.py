"""What began and never ended although the run is over.

Two signs: a copy exported at the start that no final span ever replaced; and a span that others name as their parent
and that never came, while its process went on to count: every tick but the one of its start is accounted for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from driftline.analyzers.detectors.partial_completion.claims import Claims
from driftline.analyzers.detectors.partial_completion.places import Places, course_step, noun
from driftline.analyzers.detectors.partial_completion.shortfall import Judged, Shortfall
from driftline.analyzers.finding import stable_name

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

_LATE = "its end may still arrive"
_SHOWN = 8


def judge(record: Record, claims: Claims, units: pl.DataFrame, explained: frozenset[int]) -> Judged:
    """Judge every open span of the runs that are over; *explained*: rows that another finding stands for."""
    out = Judged()
    _left_alone(record, claims, units, explained, out)
    _never_came(record, claims, out)
    return out


def _left_alone(record: Record, claims: Claims, units: pl.DataFrame, explained: frozenset[int], out: Judged) -> None:
    rows = units["row"].to_numpy()
    placed = units.with_columns(
        over=pl.Series(claims.over[rows]),
        admitted=pl.Series(claims.admitted_above[rows]),
        home=pl.Series(claims.home[rows]),
        claimant=pl.Series(claims.claimant[rows]),
    )
    pending = (record.spans["pending"]).to_numpy()
    outermost = ~pl.Series((record.tree.nearest(pending, strict=True) >= 0)[rows])
    left = placed.filter((pl.col("state") == "open") & pl.col("over") & ~pl.col("admitted") & outermost)
    # Work that was taken up again and finished is not missing, and a run that was resumed left its first try open.
    finished = (
        placed.filter(pl.col("state") == "done").group_by("run", "unit", "label").agg(done=pl.col("start_ns").max())
    )
    left = (
        left.join(finished, on=["run", "unit", "label"], how="left", maintain_order="left")
        .filter(~(pl.col("done") >= pl.col("start_ns")).fill_null(value=False))
        .join(placed.filter(pl.col("state") == "done").select("key").unique(), on="key", how="anti")
        .filter(~pl.col("row").is_in(list(explained)))
        .sort("row")
    )
    out.judged += placed.filter(pl.col("over")).height
    places = Places(record)
    for unit in left.iter_rows(named=True):
        inside = placed.filter(
            (pl.col("row") > unit["row"]) & (pl.col("run") == unit["run"]) & (pl.col("parent") == unit["row"])
        ).head(_SHOWN)
        home, claimant = unit["home"], unit["claimant"]
        out.found.append(
            Shortfall(
                anomaly="unfinished_step",
                grade="possible",
                run=unit["run"],
                subject=f"{unit['unit']}:{unit['label']}",
                signature=(unit["unit"], stable_name(unit["label"])),
                spans=((unit["row"], "open"), (claimant if claimant >= 0 else home, "went_on")),
                facts={
                    "open": {"what": noun(unit["unit"], unit["label"]), "how": "pending", **places.ref(unit["row"])},
                    "maker": places.who(home),
                    "claimant": places.who(claimant) if claimant >= 0 else "",
                    "course": [course_step(unit), *map(course_step, inside.iter_rows(named=True))],
                },
                doubts=(_LATE,),
                explains=frozenset({unit["row"]}),
            )
        )


def _never_came(record: Record, claims: Claims, out: Judged) -> None:
    """Parents that were never exported: only the tick of their start is missing in the count of their process."""
    spans = record.spans
    orphans = spans.filter(
        (pl.col("parent") < 0) & (pl.col("parent_id") != "") & (pl.col("proc") != "") & ~pl.col("remote_parent")
        & ~pl.col("kind").is_in(["run", "process"])
    )  # fmt: skip
    if orphans.is_empty():
        return
    gaps = _gaps(record.ticks, orphans["proc"].unique())
    absent = (
        orphans.group_by("trace_id", "parent_id", maintain_order=True)
        .agg(pl.col("row"), pl.col("run").first(), pl.col("proc").first(), first=pl.col("seq").min(),
             last=pl.max_horizontal(pl.col("seq").max(), pl.col("seq_end").max()), procs=pl.col("proc").n_unique())
        .join(gaps, on="proc", how="left")
        .filter(
            (pl.col("procs") == 1)
            & (pl.col("missing") == pl.len().over("proc"))
            & (pl.col("earliest") < pl.col("first"))
            & (pl.col("highest") > pl.col("last"))
        )
        .sort("trace_id", "parent_id")
    )  # fmt: skip
    places = Places(record)
    for parent in absent.iter_rows(named=True):
        row = parent["row"][0]
        home = int(claims.home[row])
        if not claims.over[row] or home < 0 or claims.admitted_above[row]:
            continue
        children = [places.who(child) for child in parent["row"]]
        claimant = int(claims.claimant[row])
        out.found.append(
            Shortfall(
                anomaly="unfinished_step",
                grade="possible",
                run=parent["run"],
                subject=f"the parent of {children[0]}",
                signature=("parent of", stable_name(children[0])),
                spans=(
                    *((child, "child") for child in parent["row"][:10]),
                    (claimant if claimant >= 0 else home, "went_on"),
                ),
                facts={
                    "open": {
                        "what": f"the span around {children[0]}",
                        "how": "never_came",
                        "trace_id": parent["trace_id"],
                        "span_id": parent["parent_id"],
                    },
                    "maker": places.who(home),
                    "claimant": places.who(claimant) if claimant >= 0 else "",
                    "course": [_child(child, places) for child in parent["row"][:_SHOWN]],
                },
                doubts=(_LATE,),
                explains=frozenset(),
            )
        )  # fmt: skip


def _child(row: int, places: Places) -> dict[str, Any]:
    name, kind = places.at(row, "name"), places.at(row, "kind")
    return {"name": name, "kind": kind, "state": "done", **places.ref(row)}


def _gaps(ticks: pl.DataFrame, procs: pl.Series) -> pl.DataFrame:
    """By process: how many ticks are missing, the earliest of them, and the highest tick that came."""
    known = ticks.filter(pl.col("instance").is_in(procs.implode())).unique().sort("instance", "tick")
    steps = known.with_columns(before=pl.col("tick").shift(1).over("instance").fill_null(0))
    return steps.group_by(proc="instance").agg(
        missing=(pl.col("tick") - pl.col("before") - 1).sum(),
        earliest=(pl.col("before") + 1).filter(pl.col("tick") - pl.col("before") > 1).min(),
        highest=pl.col("tick").max(),
    )
