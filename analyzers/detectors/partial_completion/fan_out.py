"""Work that was spread over several at once, of which not all came back, while the one who spread it went on.

A batch is what stands under one parent, is of one kind and name, and ran at the same time. Attempts of one call are one
member. Losers of a race that were cancelled, and refusals, are no members.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import polars as pl

from driftline.analyzers.detectors.partial_completion.claims import Claims
from driftline.analyzers.detectors.partial_completion.places import Places, course_step
from driftline.analyzers.detectors.partial_completion.reach import receipts
from driftline.analyzers.detectors.partial_completion.shortfall import Judged, Shortfall, proved
from driftline.analyzers.detectors.partial_completion.stand_ins import other_route, same_arguments, same_work
from driftline.analyzers.detectors.partial_completion.wholeness import Wholeness
from driftline.analyzers.effects import WRITES
from driftline.analyzers.finding import stable_name

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

_NEVER = 2**62
_GROUP = ["parent", "unit", "label"]
_SHOWN = 30


def judge(
    record: Record,
    claims: Claims,
    units: pl.DataFrame,
    seen: pl.Series,
    wholeness: Wholeness,
    explained: frozenset[int],
) -> Judged:
    """Judge every batch. *seen*: by unit, whether a model was shown what came of it; *explained*: rows whose failure
    another finding stands for."""
    placed = units.with_columns(seen=seen, over=pl.Series(claims.over[units["row"].to_numpy()])).filter(
        (pl.col("parent") >= 0) & pl.col("over") & ~pl.col("replayed").fill_null(value=False)
    )
    direct = placed.filter(pl.col("unit").is_in(["tool", "step", "agent", "run"]))
    members = pl.concat(
        [_batches(direct, units), _batches(_waited_for(record, claims, placed, units), units)], how="diagonal"
    )
    out = Judged(judged=members.select(*_GROUP, "batch").n_unique())
    admitted = pl.Series(claims.admitted[members["parent"].to_numpy()])
    broken = members.filter((pl.col("state") != "done").any().over(*_GROUP, "batch") & ~admitted)
    done = placed.filter(pl.col("state") == "done").join(broken.select("parent").unique(), on="parent", how="semi")
    beside: dict[int, list[dict[str, Any]]] = {}
    for unit in done.iter_rows(named=True):
        beside.setdefault(unit["parent"], []).append(unit)
    places = Places(record)
    for _, batch in groupby(broken.iter_rows(named=True), key=itemgetter(*_GROUP, "batch")):
        rows = list(batch)
        if explained.isdisjoint(row["row"] for row in rows):
            shortfall = _judge_one(rows, beside.get(rows[0]["parent"], []), claims, places, wholeness)
            out.found += [shortfall] if shortfall else []
    return out


def _batches(units: pl.DataFrame, every: pl.DataFrame) -> pl.DataFrame:
    """The members of all batches, one row each, with `batch` and `exact`: logical clocks show that they overlapped."""
    few = units.filter(pl.len().over(_GROUP) > 1)
    well = every.filter(pl.col("state") == "done").select("key").unique()
    ended = pl.col("state") != "open"
    one_clock = (pl.col("proc") != "").all() & (pl.col("proc").n_unique() == 1) & (pl.col("unit") != "send").all()
    timed = (
        few.join(well.with_columns(well=pl.lit(value=True)), on="key", how="left", maintain_order="left")
        .with_columns(exact=one_clock.over(_GROUP), made_up=(pl.col("clock") == "synthetic").any().over(_GROUP))
        .filter(pl.col("exact") | ~pl.col("made_up"))
        .with_columns(
            begin=pl.when("exact").then("seq").otherwise("start_ns"),
            end=pl.when(ended).then(pl.when("exact").then("seq_end").otherwise("end_ns")).fill_null(_NEVER),
            state=pl.when(pl.col("well").fill_null(value=False) & (pl.col("unit") != "send"))
            .then(pl.lit("done"))
            .otherwise("state"),
        )
    )
    calls = (
        timed.sort("begin", "row")
        .with_columns(first=pl.col("begin").min().over(*_GROUP, "key"), last=pl.col("end").max().over(*_GROUP, "key"))
        .unique([*_GROUP, "key"], keep="last", maintain_order=True)
        .with_columns(begin="first", end="last")
        .sort(*_GROUP, "begin", "row")
    )
    so_far = pl.col("end").cum_max().shift(1).over(_GROUP)
    return (
        calls.with_columns(
            batch=(pl.col("begin") > so_far).fill_null(value=False).cast(pl.Int64).cum_sum().over(_GROUP)
        )
        .filter(~_left_behind())
        .with_columns(won=(pl.col("state") == "done").any().over(*_GROUP, "batch"))
        .filter(
            ~pl.col("state").is_in(["refused", "skipped", "rejected"])
            & ~((pl.col("state") == "cancelled") & pl.col("won"))
        )
        .filter(pl.len().over(*_GROUP, "batch") > 1)
        .drop("first", "last", "well", "made_up")
    )


def _left_behind() -> pl.Expr:
    """An open member with one other that began after it: as likely a first try and its second as two at once."""
    several = pl.len().over(*_GROUP, "batch") > 2
    return (pl.col("state") == "open") & ~several & (pl.col("begin") < pl.col("begin").max().over(*_GROUP, "batch"))


def _waited_for(record: Record, claims: Claims, placed: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """Messages of runs that were still going when the answered ones had been worked on, with what became of each."""
    sent = placed.filter(pl.col("unit") == "send")
    taken = units.filter(pl.col("unit") == "process").select(
        taken="row", work="state", work_end="end_ns", work_why="why"
    )
    fate = (
        receipts(record.spans)
        .join(taken, on="taken")
        .group_by(row="send")
        .agg(
            work=pl.when((pl.col("work") == "done").any()).then(pl.lit("done")).otherwise(pl.col("work").last()),
            work_end=pl.col("work_end").max(),
            work_why=pl.col("work_why").last(),
            work_rows=pl.col("taken"),
        )
    )
    homes = claims.home[sent["row"].to_numpy()]
    ends = pl.Series(homes).clip(0)
    with_fate = sent.join(fate, on="row", how="left", maintain_order="left").with_columns(
        run_end=record.spans["end_ns"].gather(ends) if sent.height else pl.Series([], dtype=pl.Int64)
    )
    waited = (pl.col("work") == "done").any() & (
        pl.col("work_end").filter(pl.col("work") == "done").max() <= pl.col("run_end").first()
    )
    return (
        with_fate.filter(waited.over("parent", "label") & (pl.col("state") == "done"))
        .with_columns(
            state=pl.when(pl.col("work").is_null()).then(pl.lit("open")).otherwise("work"),
            why=pl.when(pl.col("work").is_null()).then(pl.lit("")).otherwise("work_why"),
            end_ns=pl.coalesce("work_end", "end_ns"),
        )
        .drop("work", "work_end", "work_why", "run_end")
    )


def _judge_one(
    members: list[dict[str, Any]], beside: list[dict[str, Any]], claims: Claims, places: Places, wholeness: Wholeness
) -> Shortfall | None:
    lacking = [member for member in members if member["state"] != "done" and not _replaced(member, members, beside)]
    first, parent, run = members[0], members[0]["parent"], members[0]["run"]
    claimant = parent if claims.complete[parent] else int(claims.claimant[parent])
    reads = first["unit"] == "tool" and first["effect"] not in WRITES
    shown = any(member["seen"] for member in lacking)
    # What a model was shown is its to decide, unless the whole is said to be complete.
    if not lacking or (shown and (reads or claimant < 0)):
        return None
    doubts = tuple(
        reason
        for reason, holds in {
            "nothing claims that all was done": claimant < 0,
            "a model was called after it, and may have decided to go on without it": shown,
            "its end may still arrive": any(member["state"] == "open" for member in lacking),
            "only wall clocks show that they ran at the same time": not first["exact"],
            "they were cancelled": all(member["state"] == "cancelled" for member in lacking),
            "what failed is not known to change anything": reads,
            "whether what failed took effect is unknown": any(
                member["effect"] in WRITES and member["effect_outcome"] == "unknown" and member["state"] == "failed"
                for member in lacking
            ),
            "a call that failed is said to have been applied all the same": any(
                member["effect_outcome"] == "applied" for member in lacking
            ),
        }.items()
        if holds
    )
    doubts = (*wholeness.lacks(run), *doubts)
    states = Counter(member["state"] for member in lacking)
    shown_first = sorted(members, key=lambda member: (member["state"] == "done", member["row"]))[:_SHOWN]
    return Shortfall(
        anomaly="incomplete_fan_out",
        grade=proved(doubts),
        run=run,
        subject=f"{first['unit']}:{first['label']}",
        signature=(places.signature(parent), first["unit"], stable_name(first["label"])),
        spans=(
            *((member["row"], member["state"]) for member in lacking[:10]),
            (parent, "went_on"),
            *((member["row"], "done") for member in members if member["state"] == "done"),
        )[:24],
        facts={
            "fan_out": {
                "unit": first["unit"],
                "name": first["label"],
                "started": len(members),
                "finished": len(members) - len(lacking),
                "parent": places.ref(parent),
            },
            "lacking": dict(states),
            "why": next((member["why"] for member in lacking if member["why"]), ""),
            "maker": places.who(parent),
            "claimant": places.who(claimant) if claimant >= 0 else "",
            "course": [course_step(member) for member in sorted(shown_first, key=lambda member: member["row"])],
        },
        doubts=doubts,
        explains=frozenset(row for member in lacking for row in (member["row"], *(member.get("work_rows") or ()))),
    )


def _replaced(member: dict[str, Any], members: list[dict[str, Any]], beside: list[dict[str, Any]]) -> bool:
    """Whether something that began after *member* had ended stood in for it."""
    if member["state"] == "open":
        return False
    again = (
        other["state"] == "done"
        and other["begin"] > member["end"]
        and same_work(member, other)
        and same_arguments(member, other)
        for other in members
    )
    later = (other for other in beside if other["start_ns"] >= member["end_ns"])
    return any(again) or any(
        other_route(member, other) or (same_work(member, other) and same_arguments(member, other)) for other in later
    )
