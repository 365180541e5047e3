"""Promises that were not kept although the one who made them ended well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from driftline.analyzers.completeness import LOST_SPANS, MISSING_PARENT
from driftline.analyzers.detectors.partial_completion.claims import Claims
from driftline.analyzers.detectors.partial_completion.places import Places, course_step, missing_step, noun
from driftline.analyzers.detectors.partial_completion.promises import kept_by, promises_of
from driftline.analyzers.detectors.partial_completion.shortfall import Judged, Shortfall, proved
from driftline.analyzers.detectors.partial_completion.wholeness import Wholeness
from driftline.analyzers.finding import stable_name

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

# What was tried says more of a broken promise than its absence; the state nearest to success says most.
_STATES = ("open", "rejected", "failed", "refused", "cancelled", "skipped")
_UNREADABLE = (
    "the promise {!r} cannot be read: write tool:NAME, step:NAME, agent:NAME, validate:NAME or send:NAME, "
    "with *N for a count"
)
_EARLY = "{} cannot be judged yet: the run, or what made the promise, has not ended"
# Spans that are known to be missing may be the very ones that kept the promise.
_KNOWN_LOSSES = (LOST_SPANS, MISSING_PARENT)


def judge(record: Record, claims: Claims, units: pl.DataFrame, wholeness: Wholeness) -> Judged:
    """Judge every promise whose run is over and whose maker has ended."""
    promised, unread = promises_of(record, claims)
    out = Judged(unknown=[(run, _UNREADABLE.format(text)) for run, text in unread.iter_rows()])
    if promised.is_empty():
        return out
    early = pl.col("pending") | ~pl.col("over")
    for run, number in promised.filter(early).group_by("run").len().sort("run").iter_rows():
        out.unknown.append((run, _EARLY.format(f"{number} promise{'s' if number > 1 else ''}")))
    pairs = kept_by(record, promised, units)
    counted = _counted(promised.with_row_index("promise"), pairs, units)
    out.judged = counted.filter(~early).height
    broken = counted.filter(~early & ~pl.col("admitted") & (pl.col("kept") < pl.col("needed")))
    if broken.height:
        _Broken(record, units, wholeness, counted, pairs, broken).say(out)
    return out


def _counted(promised: pl.DataFrame, pairs: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """*promised* with `kept`: how many logical units that it is about ended well.

    A replay stands for its original, and counts where that is not in the record.
    """
    place = units.with_row_index("place").select("place", "key", "state", "replayed", "args_digest")
    done = pairs.join(place, on="place").filter(pl.col("state") == "done")
    fresh = done.filter(~pl.col("replayed"))
    again = (
        done.filter(pl.col("replayed"))
        .join(fresh, on=["promise", "key"], how="anti")
        .join(fresh.filter(pl.col("args_digest") != ""), on=["promise", "args_digest"], how="anti")
    )
    kept = pl.concat([fresh, again]).group_by("promise").agg(kept=pl.col("key").n_unique().cast(pl.Int64))
    return promised.join(kept, on="promise", how="left", maintain_order="left").with_columns(
        pl.col("kept").fill_null(0)
    )


class _Broken:
    """Tells of the few promises that were not kept."""

    def __init__(
        self,
        record: Record,
        units: pl.DataFrame,
        wholeness: Wholeness,
        counted: pl.DataFrame,
        pairs: pl.DataFrame,
        broken: pl.DataFrame,
    ) -> None:
        self._places = Places(record)
        self._wholeness = wholeness
        runs = broken.select("run").unique()
        self._done = _names_done(units.join(runs, on="run", how="semi"))
        makers = counted.join(broken.select("row").unique(), on="row", how="semi")
        self._promises: dict[int, list[dict[str, Any]]] = {}
        for promise in makers.iter_rows(named=True):
            self._promises.setdefault(promise["row"], []).append(promise)
        self._of_promise: dict[int, list[dict[str, Any]]] = {}
        wanted = pairs.join(makers.select("promise"), on="promise", how="semi").sort("promise", "place")
        about = wanted.join(units.with_row_index("place"), on="place", how="left", maintain_order="left")
        for unit in about.iter_rows(named=True):
            self._of_promise.setdefault(unit["promise"], []).append(unit)
        self._broken = broken

    def say(self, out: Judged) -> None:
        """Put what was broken into *out*: one finding a promise and run, made by whoever claims most."""
        told: dict[tuple[str, str, str], list[int]] = {}
        # A claim says more than an end without failure; the inner maker says more than the one around it.
        ranked = self._broken.with_columns(claims=pl.col("claimant") == pl.col("row")).sort(
            "claims", "row", descending=True
        )
        for promise in ranked.iter_rows(named=True):
            same = (promise["run"], promise["unit"], promise["label"])
            makers = told.setdefault(same, [])
            if not any(self._one_promise(promise["row"], maker) for maker in makers):
                makers.append(promise["row"])
                self._one(promise, out)
        out.found.sort(key=lambda shortfall: shortfall.spans[0][0])

    def _one_promise(self, row: int, other: int) -> bool:
        """Whether two makers of equal promises mean one: the run and whoever it gave the work to, or nested ones."""
        if "run" in (self._places.at(row, "kind"), self._places.at(other, "kind")):
            return True
        return row in self._places.around(other) or other in self._places.around(row)

    def _one(self, promise: Mapping[str, Any], out: Judged) -> None:
        tried = self._tried(promise["promise"])
        failed = [unit for unit in tried if unit["state"] != "done"]
        lacks = self._wholeness.lacks(promise["run"])
        losses = [reason for reason in lacks if reason in _KNOWN_LOSSES]
        if losses and not failed:
            out.unknown.append((promise["run"], f"{promise['text']} is not in the record, and {' and '.join(losses)}"))
            return
        doubts = (*lacks, *self._doubts(promise, tried))
        done = [unit for unit in tried if unit["state"] == "done"]
        claims = promise["claimant"] >= 0
        state = next((state for state in _STATES if any(unit["state"] == state for unit in failed)), "missing")
        spans, traces = self._places.size_of(promise["run"])
        out.found.append(
            Shortfall(
                anomaly="false_success" if claims else "missing_step",
                grade=proved(doubts),
                run=promise["run"],
                subject=f"{promise['unit']}:{promise['label']}",
                signature=(
                    self._places.signature(promise["row"]),
                    promise["unit"],
                    stable_name(promise["label"]),
                ),
                spans=(
                    (promise["row"], "declared_by"),
                    *((unit["row"], unit["state"]) for unit in failed[:10]),
                    *((unit["row"], "done") for unit in done[:10]),
                    *(
                        [(promise["claimant"], "claims_complete")]
                        if claims and promise["claimant"] != promise["row"]
                        else []
                    ),
                ),
                facts={
                    "obligation": {
                        "text": promise["text"],
                        "unit": promise["unit"],
                        "name": promise["label"],
                        "needed": promise["needed"],
                        "met": promise["kept"],
                        "declared_by": self._places.ref(promise["row"]),
                    },
                    "maker": self._places.who(promise["row"]),
                    "claimant": self._places.who(promise["claimant"]) if claims else "",
                    "state": state,
                    "why": next((unit["why"] for unit in reversed(failed) if unit["state"] == state), ""),
                    "tried": dict(Counter(unit["state"] for unit in failed)),
                    "looked_at": {"spans": spans, "traces": traces},
                    "course": list(self._course(promise["row"])),
                },
                doubts=doubts,
                explains=frozenset(unit["row"] for unit in failed),
            )
        )

    def _tried(self, number: int) -> list[dict[str, Any]]:
        """The units a promise is about; of a logical unit that ended well in the end, no earlier attempts."""
        units = self._of_promise.get(number, [])
        well = {unit["key"] for unit in units if unit["state"] == "done"}
        return [unit for unit in units if unit["state"] == "done" or unit["key"] not in well]

    def _doubts(self, promise: Mapping[str, Any], tried: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """What keeps a broken promise from being proved, beside a record that is not whole."""
        if self._places.at(promise["row"], "status") == "error":
            yield f"{self._places.who(promise['row'])} claims complete and ended in an error"
        if any(unit["state"] == "failed" and unit["effect_outcome"] == "applied" for unit in tried):
            yield "a call that failed is said to have been applied all the same"
        if any(unit["state"] == "rejected" for unit in tried):
            yield "the check ran and found a fault: whether the run may then be complete is not said"
        if any(unit["state"] == "failed" and not unit["sure"] for unit in tried):
            yield "a span's parent is missing, so it may be a part of another call"
        if any(unit["state"] == "open" for unit in tried):
            yield "its end may still arrive"
        label, unit = promise["label"], promise["unit"]
        done = self._done.get(promise["run"], {})
        if done.get((unit, label), set()) - {one["row"] for one in tried}:
            maker = self._places.who(promise["row"])
            yield f"the run did it elsewhere, and {maker} may have handed it on in a way the record does not show"
            return
        # Instrumentations put prefixes before names, and call a step what the program calls a tool.
        plain = label.casefold()
        near = sorted(
            noun(kind, name)
            for kind, name in done
            if (kind, name) != (unit, label) and plain in (name.casefold(), _last_part(name.casefold()))
        )
        if near:
            yield f"{near[0]} ran, which may be what was promised"

    def _course(self, row: int) -> Iterator[dict[str, Any]]:
        """Everything that was promised in one breath, and what became of each."""
        for promise in self._promises[row]:
            tried = self._tried(promise["promise"])
            done = [unit for unit in tried if unit["state"] == "done"][: promise["needed"]]
            yield from map(course_step, done[:10])
            lacking = promise["needed"] - promise["kept"]
            if lacking <= 0:
                continue
            failed = [unit for unit in tried if unit["state"] != "done"]
            yield from map(course_step, failed[:10])
            if not failed:
                note = f"{promise['kept']} of {promise['needed']}" if promise["needed"] > 1 else ""
                yield missing_step(promise["unit"], promise["label"], note)


def _names_done(units: pl.DataFrame) -> dict[str, dict[tuple[str, str], set[int]]]:
    """By run, unit and name: the rows of what ended well."""
    done = units.filter((pl.col("state") == "done") & (pl.col("unit") != "run")).select("run", "unit", "names", "row")
    found: dict[str, dict[tuple[str, str], set[int]]] = {}
    for run, unit, name, row in done.explode("names").drop_nulls("names").iter_rows():
        found.setdefault(run, {}).setdefault((unit, name), set()).add(row)
    return found


def _last_part(name: str) -> str:
    for mark in ("/", ".", ":", "__"):
        name = name.rpartition(mark)[2]
    return name
