"""Failures that vanished: a step failed, nothing made up for it, and what was around it ended as if nothing were.

An agent that sees an error and goes on sensibly is normal life. What ends a suspicion: a later attempt or call of the
same kind, another call on the same target, a compensation, an admission, a call around it that ended well, and, for
all but declared writes, a model that was shown the error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from driftline.analyzers.detectors.partial_completion.claims import Claims
from driftline.analyzers.detectors.partial_completion.places import Places, course_step, noun
from driftline.analyzers.detectors.partial_completion.shortfall import Judged, Shortfall, proved
from driftline.analyzers.detectors.partial_completion.stand_ins import ended_before, other_route, same_work, targets
from driftline.analyzers.detectors.partial_completion.wholeness import Wholeness
from driftline.analyzers.effects import WRITES
from driftline.analyzers.finding import stable_name

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

_SHOWN = 8


def judge(
    record: Record,
    claims: Claims,
    units: pl.DataFrame,
    seen: pl.Series,
    wholeness: Wholeness,
    explained: frozenset[int],
) -> Judged:
    """Judge every unit that failed. *seen*: by unit, whether a model was shown what came of it; *explained*: rows
    whose failure another finding stands for."""
    rows = units["row"].to_numpy()
    by_row = {"over": claims.over, "admitted": claims.admitted_above, "claimant": claims.claimant, "home": claims.home}
    placed = units.with_columns(
        seen=seen,
        around=_around_it(record, units),
        **{name: pl.Series(values[rows]) for name, values in by_row.items()},
    )
    known = pl.col("unit") != "run"
    judged = placed.filter(pl.col("over") & known).height
    suspects = _suspects(placed.filter(pl.col("row") != pl.col("home")))
    if explained:
        hidden = _inside(record, explained)
        suspects = suspects.filter(~pl.col("row").is_in(hidden))
    out = Judged(judged=judged)
    mates: dict[str, list[dict[str, Any]]] = {}
    for unit in placed.join(suspects.select("run").unique(), on="run", how="semi").sort("start_ns", "row").to_dicts():
        mates.setdefault(unit["run"], []).append(unit)
    places = Places(record)
    for failed in suspects.iter_rows(named=True):
        shortfall = _judge_one(failed, mates[failed["run"]], places, wholeness)
        if shortfall:
            out.found.append(shortfall)
    return out


def _inside(record: Record, rows: frozenset[int]) -> list[int]:
    """*rows* and everything in and around them: one cause, one finding."""
    mask = pl.Series([False] * record.spans.height)
    mask[list(rows)] = True
    below = record.tree.nearest(mask.to_numpy()) >= 0
    places = Places(record)
    return [*pl.Series(below).arg_true().to_list(), *(above for row in rows for above in places.around(row))]


def _around_it(record: Record, units: pl.DataFrame) -> pl.Series:
    """For each unit the tool name of the nearest call around it that ended well; '' without one."""
    spans = record.spans
    fine = (spans["kind"] == "tool") & ~spans["pending"] & (spans["status"] != "error") & ~spans["result_error"]
    around = record.tree.nearest(fine.to_numpy(), strict=True)[units["row"].to_numpy()]
    names = spans["tool"].gather(pl.Series(around).clip(0)) if spans.height else spans["tool"]
    return pl.select(pl.when(pl.Series(around) >= 0).then(names).otherwise(pl.lit(""))).to_series()


def _suspects(placed: pl.DataFrame) -> pl.DataFrame:
    """Failed units that nothing obvious made up for; by set operations, for most failures end here."""
    failed = placed.filter(
        (pl.col("state") == "failed")
        & pl.col("over")
        & ~pl.col("admitted")
        & ~pl.col("replayed").fill_null(value=False)
        & (pl.col("home") >= 0)
        & ~((pl.col("effect_outcome") == "applied") & (pl.col("outcome_source") == "explicit"))
    )
    if failed.is_empty():
        return failed
    write = pl.col("effect").is_in(WRITES)
    declared = write & pl.col("effect_source").is_in(["explicit", "catalogue"])
    # What a model was shown is its to decide; a declared write that failed under a claim of success is not.
    told = pl.col("seen") & ~(declared & (pl.col("claimant") >= 0))
    failed = failed.filter(~told & ((pl.col("around") == "") | (write & (pl.col("around") != pl.col("label")))))
    done = placed.filter(pl.col("state") == "done")
    same = done.group_by("run", "unit", "label").agg(
        last=pl.col("end_ns").max(), named=(pl.col("targets").list.len() > 0).any()
    )
    undoing = done.filter(pl.col("compensates") != "").group_by("run").agg(undone=pl.col("end_ns").max())
    return (
        failed.join(done.select("key").unique(), on="key", how="anti")
        .join(same, on=["run", "unit", "label"], how="left", maintain_order="left")
        .join(undoing, on="run", how="left", maintain_order="left")
        .filter(
            ~(
                (pl.col("last") >= pl.col("start_ns")) & ~(pl.col("named") & (pl.col("targets").list.len() > 0))
            ).fill_null(value=False)
            & ~(pl.col("undone") >= pl.col("start_ns")).fill_null(value=False)
        )
        .unique("key", keep="last", maintain_order=True)
        .sort("row")
    )


def _judge_one(
    failed: dict[str, Any], mates: list[dict[str, Any]], places: Places, wholeness: Wholeness
) -> Shortfall | None:
    write = failed["effect"] in WRITES
    others = [
        other
        for other in mates
        if other["state"] == "done" and other["row"] != failed["row"] and not ended_before(other, failed)
    ]
    if any(same_work(failed, other) or other_route(failed, other) for other in others):
        return None
    home, claimant = failed["home"], failed["claimant"]
    after = [unit for unit in mates if unit["start_ns"] >= failed["end_ns"]]
    inner = {unit["row"] for unit in after}
    next_ = [unit for unit in after if unit["parent"] not in inner][:_SHOWN]
    doubts = (*wholeness.lacks(failed["run"]), *_doubts(failed, others, places))
    # Only a write that is known to have failed leaves something out for certain.
    plain = failed["unit"] == "tool" and not write
    cause = _cause(failed, mates, places)
    return Shortfall(
        anomaly="swallowed_failure",
        grade=proved(doubts) if write else "possible",
        run=failed["run"],
        subject=", ".join(failed["targets"]) or f"{failed['unit']}:{failed['label']}",
        signature=(failed["unit"], stable_name(failed["label"]), stable_name(failed["agent"])),
        spans=(
            (failed["row"], "failed"),
            *([(cause["row"], "cause")] if cause else []),
            (home if claimant < 0 else claimant, "went_on"),
        ),
        facts={
            "failed": {
                "unit": failed["unit"],
                "name": failed["label"],
                "why": failed["why"],
                "effect": failed["effect"],
                "effect_source": failed["effect_source"],
                "outcome": failed["effect_outcome"],
                "targets": list(failed["targets"]),
                "agent": failed["agent"],
                **places.ref(failed["row"]),
            },
            "cause": {"unit": cause["unit"], "name": cause["label"], "why": cause["why"], **places.ref(cause["row"])}
            if cause
            else None,
            "maker": places.who(home),
            "claimant": places.who(claimant) if claimant >= 0 else "",
            "course": [course_step(failed), *map(course_step, next_)],
            "came_after": len(after),
        },
        doubts=doubts if write else (*doubts, "what failed is not known to change anything" if plain else
                                     "nobody declared that the run depends on it"),
        harmful=not plain,
        explains=frozenset({failed["row"]}),
    )  # fmt: skip


def _doubts(failed: dict[str, Any], others: list[dict[str, Any]], places: Places) -> Iterator[str]:
    """What keeps a vanished write from being proved, beside a record that is not whole."""
    home = failed["home"]
    ticks = (failed["seq_end"], places.at(home, "seq_end"))
    said = {
        "nothing claims that all was done": failed["claimant"] < 0,
        "whether it took effect is unknown": failed["effect_outcome"] != "failed",
        "that it changes something is known by its name only": failed["effect_source"] == "name",
        "that it changes something is known by calls inside of it": failed["effect_source"] == "child",
        "a model was called after it, and may have decided to go on without it": failed["seen"],
        f"tool {failed['around']}, inside of which it ran, ended well": bool(failed["around"]),
        "a span's parent is missing, so it may be a part of another call": not failed["sure"],
        "no logical clock shows that it failed before its run ended": not failed["proc"]
        or failed["proc"] != places.at(home, "proc")
        or None in ticks
        or ticks[0] > ticks[1],
    }
    yield from (reason for reason, holds in said.items() if holds)
    for other in others:
        acts = other["effect"] in (*WRITES, "unknown") or other["unit"] in ("agent", "send")
        around = other["row"] == home or other["row"] in places.around(failed["row"])
        if acts and not around and not targets(failed, other)[1]:
            yield f"{noun(other['unit'], other['label'])}, which came later, may have stood in for it"
            return


def _cause(failed: dict[str, Any], mates: list[dict[str, Any]], places: Places) -> dict[str, Any] | None:
    """The innermost failure inside of what failed; None where it failed by itself."""
    broken = (unit for unit in mates if unit["state"] == "failed" and unit["row"] > failed["row"])
    inside = [unit for unit in broken if failed["row"] in places.around(unit["row"])]
    return max(inside, key=lambda unit: (len(places.around(unit["row"])), unit["row"])) if inside else None
