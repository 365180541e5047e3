"""What may be done to a history without a detector saying more of it: the metamorphic laws (docs/detectors.md).

Each law turns a history into other tellings of it. `broken` compares what is said of both.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from histories import HistorySpan, parse, requests
from history_batch import Judged, Said, judge_each
from history_renaming import renamed
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from driftline.analyzers import Config

Requests = list[ExportTraceServiceRequest]

_HOUR_MS = 3_600_000
_BOUND_MS = 50


@dataclass(frozen=True)
class Telling:
    """Another telling of a history. *same*: it must say the same; else it must say nothing definite that is new.

    *unseen*: it lacks all that a process did and that no message without a receipt announces. Nothing can miss that,
    so an absence concluded from the rest (`partial_completion` says so under its limits) is not held against it, nor is
    a doubt that went with what was lost (another process had undone, or done something else, in between).
    """

    law: str
    how: str
    requests: Requests
    same: bool
    unseen: bool = False


LAWS = ("losses", "retellings", "names", "clocks")


def tellings(text: str, seed: int, laws: Sequence[str] = LAWS) -> list[Telling]:
    """Other tellings of the history *text*, the random ones by *seed*."""
    dice = random.Random(seed)
    found: list[Telling] = []
    if "losses" in laws and not contradicts_itself(text):
        found += [*_losses(text, dice), *_open_copies(text)]
    if "retellings" in laws:
        found += _retellings(text, dice)
    if "names" in laws:
        found += _other_names(text, dice)
    if "clocks" in laws:
        found += _clocks(text, dice)
    return found


def contradicts_itself(text: str) -> bool:
    """Whether one version was made by two writes, or ordinals run against the lineage.

    Such a record proves less the more of it is known: without the span that contradicts, the rest is proof. Versions
    that are unique are what every proof rests on (docs/wire.md), so the laws of loss are stated for those.
    """
    makers: dict[str, int] = {}
    ordinals: dict[str, int] = {}
    for span in parse(text):
        if span.what not in ("create", "write", "upsert", "delete"):
            continue
        made, _, parents = (part.strip() for part in span.subject.partition("<-"))
        ordinal = int(span.words.get("ordinal", 0))
        key = made.rpartition("@")[0]
        above = [ordinals.get(f"{key}@{parent.strip()}", 0) for parent in parents.split(",")]
        highest = max((known for version, known in ordinals.items() if version.startswith(f"{key}@")), default=0)
        if made in makers or (ordinal and (ordinal <= max(above) or ordinal < highest)):
            return True
        makers[made], ordinals[made] = span.number, ordinal
    return False


def broken(text: str, found: Judged, telling: Telling, said: Sequence[Said]) -> list[str]:
    """How *said* of *telling* breaks its law, given what was *found* in the history itself.

    Where a record is known to lack something, the doubt may go with the spans that raised it.
    """
    if telling.same:
        lines, told = sorted(map(str, found.said)), sorted(map(str, said))
        return [] if lines == told else [f"{telling.law} ({telling.how})\n  said {told}\n  not  {lines}\n{text}"]
    known = [finding for finding in found.said if finding.definite or not found.whole or telling.unseen]
    return [
        f"{telling.law} ({telling.how}) makes definite\n  {finding}\n  known {sorted(map(str, found.said))}\n{text}"
        for finding in said
        if finding.definite
        and not any(_covers(one, finding) for one in known)
        and not (telling.unseen and finding.detector == "partial_completion")
    ]


def violations(
    texts: Sequence[str],
    config: Config | None = None,
    seed: int = 1,
    laws: Sequence[str] = LAWS,
    *,
    apart: bool = False,
) -> list[str]:
    """Every breach of a law by the histories *texts*, all judged in two records (*apart*: each telling in its own)."""
    found = judge_each([requests(text) for text in texts], config)
    told = [(place, telling) for place, text in enumerate(texts) for telling in tellings(text, seed + place, laws)]
    if apart:
        said = [judge_each([telling.requests], config)[0] for _, telling in told]
    else:
        said = judge_each([telling.requests for _, telling in told], config)
    return [
        line
        for (place, telling), findings in zip(told, said, strict=True)
        for line in broken(texts[place], found[place], telling, findings.said)
    ]


def _covers(known: Said, finding: Said) -> bool:
    """Whether *known* stands for *finding*: the same defect, or all that acted in the one has its part in the other.

    Without its best witness a finding may have another name; without the effect or the read that stood for it, a read
    has its own.
    """
    if known.detector != finding.detector:
        return False
    if known.detector != "duplicate_effect" and (known.run, known.subject) == (finding.run, finding.subject):
        return True
    return bool(finding.acting) and finding.acting <= {span for _role, span in known.spans}


def _losses(text: str, dice: random.Random) -> Iterable[Telling]:
    spans = parse(text)
    places = range(len(spans))
    drops = [{place} for place in places]
    drops += [{place for place in places if spans[place].process == process} for process in {s.process for s in spans}]
    drops += [{place for place in places if dice.random() < share} for share in (0.15, 0.3, 0.3, 0.5, 0.7)]
    for drop in drops:
        how, unseen = f"spans {sorted(drop)}", _leaves_no_trace(spans, drop)
        yield Telling("dropping spans", how, requests(text, drop=drop), same=False, unseen=unseen)


def _leaves_no_trace(spans: Sequence[HistorySpan], drop: set[int]) -> bool:
    """Whether the outermost span of some process is among *drop*, and no message that lacks its receipt tells of it."""
    gone = {id(spans[place]) for place in drop}
    taken = {id(span.link) for span in spans if span.what == "process" and span.link and id(span) not in gone}
    missed = {id(span) for span in spans if span.what == "send" and id(span) not in gone | taken}
    return any(
        id(span) in gone
        and (span.parent is None or span.parent.process != span.process)
        and not (span.what == "process" and id(span.link) in missed)
        for span in spans
    )


def _open_copies(text: str) -> Iterable[Telling]:
    for place, span in enumerate(parse(text)):
        if "open" not in span.flags:
            yield Telling("a span not ended yet", f"span {place}", requests(text, unended={place}), same=False)


def _retellings(text: str, dice: random.Random) -> Iterable[Telling]:
    places = range(len(parse(text)))
    yield Telling("doubling spans", "all", requests(text, double=places), same=True)
    some = {place for place in places if dice.random() < 0.5}
    yield Telling("doubling spans", f"spans {sorted(some)}", requests(text, double=some), same=True)
    for seed in (dice.randrange(1000), dice.randrange(1000)):
        yield Telling("shuffling arrival", f"seed {seed}", requests(text, shuffle=seed), same=True)


def _other_names(text: str, dice: random.Random) -> Iterable[Telling]:
    for seed in (dice.randrange(1000), dice.randrange(1000)):
        other = [renamed(request, seed) for request in requests(text)]
        yield Telling("other names", f"seed {seed}", other, same=True)


def _clocks(text: str, dice: random.Random) -> Iterable[Telling]:
    spans = parse(text)
    processes = sorted({span.process for span in spans})
    hosts = {span.process: span.host for span in spans}
    for _ in range(3):
        shift = {process: dice.choice((-1, 0, 1)) * dice.random() * _HOUR_MS for process in processes}
        yield Telling("shifting clocks", str(shift), requests(text, shift_ms=shift), same=False)
    by_host = {host: dice.uniform(-_BOUND_MS / 2, _BOUND_MS / 2) for host in sorted(set(hosts.values()))}
    within = {process: by_host[hosts[process]] for process in processes}
    yield Telling("clocks within the bound", str(within), requests(text, shift_ms=within), same=False)
