"""Nothing, or a fragment, that was taken as success.

An empty answer is an answer for many tools, and a model that is shown one decides what to do with it. What is left: a
model cut off in the last call of its turn, a sub-agent whose turn returned nothing, and a read that came back empty
although it was promised or never is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from driftline.analyzers.detectors.partial_completion.claims import Claims
from driftline.analyzers.detectors.partial_completion.places import Places, course_step, noun
from driftline.analyzers.detectors.partial_completion.shortfall import Judged, Shortfall
from driftline.analyzers.effects import WRITES
from driftline.analyzers.finding import stable_name
from driftline.canonical import digest

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

_CUT_OFF = r"(?i)length|max_?(output_)?tokens|content_?filter|safety|recitation|blocklist|prohibited|incomplete"
# An empty list or object is an answer: nothing was found.
_ANSWERS = [digest([]), digest({})]
# How many other results of a tool, none of them empty, make an empty one remarkable.
_ENOUGH = 10


def judge(record: Record, claims: Claims, units: pl.DataFrame, seen: pl.Series, explained: frozenset[int]) -> Judged:
    """Judge the ends of model calls, the results of agents and reads; *explained*: rows another finding stands for."""
    found = [
        *_cut_off(record, claims),
        *_silent_agents(record, claims, units),
        *_empty_reads(record, claims, units, seen),
    ]
    return Judged([shortfall for shortfall in found if not shortfall.explains & explained])


def _cut_off(record: Record, claims: Claims) -> Iterator[Shortfall]:
    """Turns and steps whose last model call ended before the model was done."""
    spans, tree = record.spans, record.tree
    turns = tree.nearest((spans["kind"] == "agent").to_numpy(), strict=True)
    models = spans["kind"] == "llm"
    outer = tree.nearest(models.to_numpy(), strict=True) < 0
    calls = spans.select(
        "row", "run", "model", "name", "parent", "start_ns", "pending", "status", "finish_reasons", "clock",
        around=pl.when(pl.Series(turns) >= 0).then(pl.Series(turns)).otherwise("parent"),
    ).filter(models & pl.Series(outer) & (pl.col("parent") >= 0))  # fmt: skip
    last = calls.sort("start_ns", "row").unique("around", keep="last", maintain_order=True)
    cut = last.filter(
        ~pl.col("pending")
        & (pl.col("status") != "error")
        & pl.col("finish_reasons").list.eval(pl.element().str.contains(_CUT_OFF)).list.any()
    )
    places = Places(record)
    for call in cut.sort("row").iter_rows(named=True):
        around = call["around"]
        if _admits(claims, call["row"]) or claims.own[around] or places.at(around, "pending"):
            continue
        reason = next((said for said in call["finish_reasons"] if said), "")
        model = call["model"] or call["name"]
        yield _shortfall(
            record, claims, call["row"], call["run"], f"model {model}", ("llm", stable_name(places.signature(around))),
            {"how": "cut_off", "reason": reason, "what": f"the last model call of {places.who(around)}"},
            [{"name": call["name"], "kind": "llm", "state": "failed", "note": reason, **places.ref(call["row"])}],
            "what the model had said by then may have been enough",
        )  # fmt: skip


def _silent_agents(record: Record, claims: Claims, units: pl.DataFrame) -> Iterator[Shortfall]:
    """Sub-agents that returned nothing, and did nothing that would be their answer in another way."""
    spans, tree = record.spans, record.tree
    agents = spans.filter((pl.col("kind") == "agent") & pl.col("result_empty").is_not_null())
    always = agents.group_by("said_agent").agg(given=(~pl.col("result_empty")).any(), turns=pl.len())
    silent = agents.filter(
        pl.col("result_empty") & ~pl.col("pending") & (pl.col("status") != "error") & (pl.col("parent") >= 0)
    ).join(always, on="said_agent", how="left", maintain_order="left")
    silent = silent.filter(pl.col("given") | (pl.col("turns") == 1))
    if silent.is_empty():
        return
    telling = (
        units.filter(
            (pl.col("unit") == "send") | ((pl.col("unit") == "tool") & pl.col("effect").is_in([*WRITES, "unknown"]))
        )["row"].to_list()
        + record.memory.filter(pl.col("op").is_in(["write", "delete"]))["row"].to_list()
    )
    nearest = tree.nearest((spans["kind"] == "agent").to_numpy(), strict=True)
    acted = {int(nearest[row]) for row in telling}
    by_row = {unit["row"]: unit for unit in units.filter(pl.col("unit") == "agent").join(
        silent.select("row"), on="row", how="semi").iter_rows(named=True)}  # fmt: skip
    for row in silent.sort("row")["row"].to_list():
        if row in acted or row not in by_row or _admits(claims, row) or claims.own[row]:
            continue
        unit = by_row[row]
        yield _shortfall(
            record, claims, row, unit["run"], f"agent:{unit['label']}", ("agent", unit["label"]),
            {"how": "nothing", "reason": "", "what": noun("agent", unit["label"])},
            [course_step(unit, note="returned nothing")],
            "it may have answered in a way the record does not show",
        )  # fmt: skip


def _empty_reads(record: Record, claims: Claims, units: pl.DataFrame, seen: pl.Series) -> Iterator[Shortfall]:
    """Reads that came back empty where nobody looked at that: promised ones, and ones that never are."""
    nothing = pl.col("result_empty") & ~pl.col("result_digest").is_in(_ANSWERS)
    reads = (
        units.filter((pl.col("unit") == "tool") & (pl.col("effect") == "read") & pl.col("result_empty").is_not_null())
        .with_columns(nothing=nothing)
        .join(units.select("row", seen=seen), on="row", how="left", maintain_order="left")
    )
    others = reads.group_by("label").agg(full=(~pl.col("nothing")).sum(), empty=pl.col("nothing").sum())
    promised = (
        record.spans.filter(pl.col("expects").list.len() > 0)
        .select("run", text="expects")
        .explode("text")
        .select(
            "run", label=pl.col("text").str.extract(r"^tool:([^*]+)").str.strip_chars(), promised=pl.lit(value=True)
        )
        .unique()
    )
    full = reads.filter(~pl.col("nothing") & (pl.col("state") == "done"))
    answered = full.group_by("run", "label").agg(answered=pl.col("end_ns").max())
    never = (pl.col("full") >= _ENOUGH) & (pl.col("empty") * 20 <= pl.col("full"))
    empty = (
        reads.filter(pl.col("nothing") & (pl.col("state") == "done") & ~pl.col("seen") & ~pl.col("replayed"))
        .join(others, on="label", how="left", maintain_order="left")
        .join(promised, on=["run", "label"], how="left", maintain_order="left")
        .join(answered, on=["run", "label"], how="left", maintain_order="left")
        .filter(pl.col("promised").fill_null(value=False) | never)
        .filter(~(pl.col("answered") >= pl.col("start_ns")).fill_null(value=False))
        .unique("key", keep="last", maintain_order=True)
    )
    for unit in empty.sort("row").iter_rows(named=True):
        if _admits(claims, unit["row"]):
            continue
        yield _shortfall(
            record, claims, unit["row"], unit["run"], f"tool:{unit['label']}", ("tool", stable_name(unit["label"])),
            {"how": "nothing", "reason": "promised" if unit["promised"] else "usually_full",
             "what": noun("tool", unit["label"]), "full": unit["full"]},
            [course_step(unit, note="returned nothing")],
            "nothing may have been the right answer",
        )  # fmt: skip


def _admits(claims: Claims, row: int) -> bool:
    return bool(claims.admitted_above[row] or not claims.over[row] or claims.home[row] < 0)


def _shortfall(
    record: Record, claims: Claims, row: int, run: str, subject: str, signature: tuple[str, ...],
    result: dict[str, Any], course: list[dict[str, Any]], doubt: str,
) -> Shortfall:  # fmt: skip
    places = Places(record)
    home, claimant = int(claims.home[row]), int(claims.claimant[row])
    return Shortfall(
        anomaly="empty_result",
        grade="possible",
        run=run,
        subject=subject,
        signature=signature,
        spans=((row, "empty"), (claimant if claimant >= 0 else home, "went_on")),
        facts={
            "result": {**result, **places.ref(row)},
            "maker": places.who(home),
            "claimant": places.who(claimant) if claimant >= 0 else "",
            "course": course,
        },
        doubts=(doubt,),
        explains=frozenset({row}),
    )
