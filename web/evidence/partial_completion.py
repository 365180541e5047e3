"""What should have happened against what did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from driftline.web.formats import duration

_STATES = {
    "done": "done",
    "missing": "never happened",
    "failed": "failed",
    "open": "never ended",
    "refused": "refused",
    "cancelled": "cancelled",
    "skipped": "skipped",
    "rejected": "found a fault",
}
_HEADINGS = {
    "obligation": "What was promised, what happened",
    "fan_out": "What was begun, what came back",
    "failed": "What failed, what came after",
    "open": "What began and did not end",
    "message": "What was sent, what was taken",
    "result": "What came back",
}
_SOURCES = {
    "explicit": "by its span",
    "catalogue": "by the catalogue",
    "child": "by the calls inside",
    "name": "by its name",
}

# Members that the argument above the evidence has put into words already.
_SAID = ("claimant", "maker", "state", "why", "tried", "looked_at", "lacking", "came_after")


@dataclass(frozen=True)
class CourseStep:
    """One step of the course. `key` names its span as the run page does ('' = there is none)."""

    name: str
    kind: str
    state: str
    said: str
    key: str
    note: str = ""
    agent: str = ""


@dataclass(frozen=True)
class Fact:
    """A line of the summary; `key` names the span it speaks of ('' = none)."""

    name: str
    text: str
    key: str = ""


@dataclass(frozen=True)
class PartialView:
    """The promise or failure in facts, the course of things, and why it is not proved (`doubts`; none: it is)."""

    heading: str
    facts: tuple[Fact, ...]
    course: tuple[CourseStep, ...]
    doubts: tuple[str, ...]
    rest: Mapping[str, Any]


def view(body: Mapping[str, Any], _known: Mapping[tuple[str, str], Mapping[str, Any]]) -> PartialView | None:
    """None when the evidence tells of nothing that this page knows."""
    evidence = body["evidence"]
    kinds = [kind for kind in _FACTS if isinstance(evidence.get(kind), Mapping) and evidence[kind]]
    course = tuple(_step(step) for step in evidence.get("course") or () if isinstance(step, Mapping))
    if not kinds and not course:
        return None
    facts = [fact for kind in kinds for fact in _FACTS[kind](evidence[kind], evidence)]
    if evidence.get("claimant"):
        facts.append(Fact("Says complete", str(evidence["claimant"])))
    drawn = (*_FACTS, *_SAID, "course", "doubts", "cause")
    return PartialView(
        heading=_HEADINGS[kinds[0]] if kinds else _HEADINGS["obligation"],
        facts=tuple(fact for fact in facts if fact.text),
        course=course,
        doubts=tuple(str(doubt) for doubt in evidence.get("doubts") or ()),
        rest={key: value for key, value in evidence.items() if key not in drawn and value},
    )


def _step(step: Mapping[str, Any]) -> CourseStep:
    state = _text(step.get("state"))
    return CourseStep(
        name=_text(step.get("name")),
        kind=_text(step.get("kind")),
        state=state,
        said=_STATES.get(state, state),
        key=_key(step),
        note=_text(step.get("note")),
        agent=_text(step.get("agent")),
    )


def _promise(promise: Mapping[str, Any], _evidence: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("Promised", _text(promise.get("text")), _key(promise.get("declared_by") or {}))
    if promise.get("needed") is not None:
        yield Fact("Kept", f"{promise.get('met') or 0} of {promise['needed']}")


def _batch(batch: Mapping[str, Any], _evidence: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact(
        "Begun together",
        f"{_text(batch.get('started'))} of {_text(batch.get('name'))}",
        _key(batch.get("parent") or {}),
    )
    yield Fact("Ended well", f"{batch.get('finished') or 0} of {_text(batch.get('started'))}")


def _failure(failed: Mapping[str, Any], evidence: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact(
        "Failed", " ".join(filter(None, (_text(failed.get("name")), _bracketed(failed.get("why"))))), _key(failed)
    )
    if failed.get("effect") not in (None, "", "unknown"):
        source = _SOURCES.get(_text(failed.get("effect_source")), "")
        yield Fact("Effect", f"{failed['effect']} {_bracketed(source)}".strip())
    yield Fact("Acted on", ", ".join(map(str, failed.get("targets") or ())))
    cause = evidence.get("cause") or {}
    yield Fact(
        "Because of", " ".join(filter(None, (_text(cause.get("name")), _bracketed(cause.get("why"))))), _key(cause)
    )


def _open(span: Mapping[str, Any], _evidence: Mapping[str, Any]) -> Iterator[Fact]:
    never_came = span.get("how") == "never_came"
    yield Fact("Began", _text(span.get("what")), "" if never_came else _key(span))
    yield Fact("Known by", "the spans that name it as their parent" if never_came else "its announcement at the start")


def _message(message: Mapping[str, Any], _evidence: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("Sent to", _text(message.get("destination")), _key(message))
    yield Fact("Message", _text(message.get("id")))
    yield Fact("Waited at least", _milliseconds(message.get("waited_ms")))
    if message.get("taken"):
        yield Fact("Usually", f"{message['taken']} others took at most {_milliseconds(message.get('slowest_ms'))}")


def _result(result: Mapping[str, Any], _evidence: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("From", _text(result.get("what")), _key(result))
    cut_off = result.get("how") == "cut_off"
    yield Fact("Came back", f"a fragment {_bracketed(result.get('reason'))}".strip() if cut_off else "nothing")


_FACTS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[Fact]]] = {
    "obligation": _promise,
    "fan_out": _batch,
    "failed": _failure,
    "open": _open,
    "message": _message,
    "result": _result,
}


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _bracketed(value: Any) -> str:
    return f"({value})" if value else ""


def _milliseconds(value: Any) -> str:
    return duration(int(value * 1_000_000)) if isinstance(value, (int, float)) else ""


def _key(span: Mapping[str, Any]) -> str:
    return f"{span['trace_id']}-{span['span_id']}" if span.get("trace_id") and span.get("span_id") else ""
