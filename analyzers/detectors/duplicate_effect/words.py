"""The text of a finding, rendered from its evidence: it cannot say what the evidence does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from driftline.analyzers.detectors.duplicate_effect.evidence import role_of
from driftline.analyzers.finding import Explanation

_SAME = {
    "call": "They are attempts of one logical call",
    "key": "They carry the same idempotency key",
    "arguments": "They were given equal arguments",
    "target": "They were given equal arguments and act on a target that outlives a run",
    "conversation": "They were given equal arguments in one conversation",
    "declared intent": "The tool catalogue declares them one intent",
    "several": "One of their call id, idempotency key or arguments ties each to the next",
}


def title(anomaly: str, grade: str, evidence: Mapping[str, Any]) -> str:
    """One sentence for a person with little time."""
    tool, on, times = evidence["tool"], _on(evidence), count(evidence["times"])
    first, second = live(evidence)[:2]
    if anomaly == "refused_repeat":
        return f"{tool} was called {times} in the same way{on} and refused each time"
    if anomaly == "redundant_read":
        return f"{tool} read the same {times} although nothing had changed in between"
    if anomaly == "loop":
        return f"{tool} was called {times} with equal arguments and equal results while nothing changed"
    if anomaly == "repeated_across_runs":
        verb = "was applied" if grade == "definite" else "was probably applied"
        other = f"run {first['run_id']}"
        order = f"although {other} had applied it already" if evidence["in_order"] else f"and in {other} as well"
        return f"{tool} {verb}{on} in this run {order}{_taken_back(evidence)}"
    if anomaly == "double_intent":
        return _double_intent(grade, evidence)
    if anomaly == "retry_after_success":
        return (
            f"{tool} was tried again{on} after it had been applied: {name(second)} began{_when(evidence)} "
            f"{name(first)} had answered, and what it did is unknown"
        )
    if any(execution["outcome"] == "unknown" for execution in live(evidence)):
        return (
            f"{tool} may have been applied {times}{on}: {name(first)} {_ended(first)}, {name(second)} {_ended(second)}"
        )
    all_of = "both" if evidence["times"] == 2 else f"all {evidence['times']}"
    said = all(e["outcome_source"] == "explicit" for e in live(evidence))
    applied = f"{tool} ran {times}{on} and {all_of} were {'' if said else 'probably '}applied"
    return f"{applied}{_how(evidence)}{_taken_back(evidence)}"


def explanation(anomaly: str, grade: str, evidence: Mapping[str, Any]) -> Explanation:
    """The argument: what each execution did, what makes them one effect, what should hold instead."""
    let = [f"Execution {n}: {_fact(execution)}" for n, execution in enumerate(evidence["executions"], start=1)]
    then = [_same(evidence)]
    if evidence["repeated_by"]:
        then.append(f"The repeat was made by {evidence['repeated_by']}.")
    then.extend(_undone(evidence))
    if evidence["tokens_between"]:
        then.append(f"From the first to the last of them {evidence['tokens_between']} tokens were used.")
    then.extend(f"Not proved: {doubt}." for doubt in evidence["doubts"])
    return Explanation(tuple(let), tuple(then), _however(anomaly, grade, evidence))


def live(evidence: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The executions that have a place in the repeat, in order."""
    return [e for e in evidence["executions"] if e["role"] not in ("undone", "refused", "failed", "applied", "unknown")]


def name(execution: Mapping[str, Any]) -> str:
    """`attempt 2` where attempts are numbered, else `the second call`."""
    if execution["attempt"] is not None:
        return f"attempt {execution['attempt']}"
    return f"the {execution['role'].replace('_', ' ')} call"


def count(times: int) -> str:
    """`twice`, `3 times`."""
    return "twice" if times == 2 else f"{times} times"


def _and(words: list[str]) -> str:
    return f"{', the '.join(words[:-1])} and the {words[-1]}" if len(words) > 1 else words[0]


def _on(evidence: Mapping[str, Any]) -> str:
    return f" for {evidence['subject']}" if evidence["subject"] != evidence["tool"] else ""


def _how(evidence: Mapping[str, Any]) -> str:
    """The order of the first two where the record tells it, else who made the second."""
    first, second = live(evidence)[:2]
    if evidence["overlap"]:
        return f": {name(second)} began before {name(first)} had ended"
    if evidence["gap_ms"] is not None or evidence["in_order"]:
        return f": {name(second)} began{_when(evidence)} {name(first)} had ended"
    return f": the repeat was made by {evidence['repeated_by']}"


def _taken_back(evidence: Mapping[str, Any]) -> str:
    """What undid which of the executions that are said to be applied."""
    gone = [(e["role"], e["undone_by"]["tool"]) for e in live(evidence) if e["undone_by"]]
    return f"; {' and '.join(f'{tool} took back the {place}' for place, tool in gone)}" if gone else ""


def _when(evidence: Mapping[str, Any]) -> str:
    gap = evidence["gap_ms"]
    if gap is None:
        return " after"
    if gap < 1000:
        return f" {gap:.0f} ms after" if gap >= 1 else " right after"
    return f" {gap / 1000:.1f} s after" if gap < 120_000 else f" {gap / 60_000:.0f} min after"


def _double_intent(grade: str, evidence: Mapping[str, Any]) -> str:
    of_intent = [e for e in evidence["executions"] if e["stays_live"] or e["undone_by"]]
    stand = [role_of(n) for n, e in enumerate(of_intent) if e["stays_live"]]
    gone = [(role_of(n), e["undone_by"]["tool"]) for n, e in enumerate(of_intent) if e["undone_by"]]
    likely = "" if grade == "definite" else "probably "
    said = f"{evidence['tool']} acted {count(len(of_intent))} on what is {likely}one intent{_on(evidence)}"
    if not gone:
        return f"{said}, with different arguments: {'both' if len(stand) == 2 else 'all of them'} stand"
    taken = " and ".join(f"{tool} took back the {place}" for place, tool in gone)
    return f"{said}, with different arguments: the {_and(stand)} stand, {taken}"


def _ended(execution: Mapping[str, Any]) -> str:
    if execution["outcome"] != "unknown":
        return "was applied"
    return "never ended" if execution["status"] == "open" else "ended with unknown outcome"


def _fact(execution: Mapping[str, Any]) -> str:
    who = f" by agent {execution['agent']}" if execution["agent"] else ""
    number = f" (attempt {execution['attempt']})" if execution["attempt"] is not None else ""
    how = {
        "explicit": "its span says so",
        "catalogue": "by the catalogue's pattern over its result",
        "status": "judged by its status alone",
    }[execution["outcome_source"]]
    undone = f"; undone by {execution['undone_by']['tool']}" if execution["undone_by"] else ""
    what = {"applied": "was applied", "refused": "was refused", "failed": "failed", "unknown": "has an unknown outcome"}
    return f"{execution['tool']}{number}{who} {what[execution['outcome']]}: {how}{undone}."


def _same(evidence: Mapping[str, Any]) -> str:
    if evidence["same_by"] == "declared intent":
        values = ", ".join(f"{path} = {_short(value)}" for path, value in evidence["intent"].items())
        return f"{_SAME['declared intent']}: {values}."
    if evidence["intent"]:
        return f"They act on the same target, {evidence['intent']['target']}, and their arguments are much alike."
    targets = f" and act on {evidence['subject']}" if _on(evidence) and evidence["same_by"] == "arguments" else ""
    return f"{_SAME[evidence['same_by']]}{targets}."


def _undone(evidence: Mapping[str, Any]) -> list[str]:
    gone = [e for e in evidence["executions"] if e["undone_by"]]
    stay = [e for e in evidence["executions"] if e["stays_live"]]
    if not gone:
        return []
    numbers = {id(e): str(n) for n, e in enumerate(evidence["executions"], start=1)}
    taken = [f"Execution {numbers[id(e)]} was undone by {e['undone_by']['tool']}." for e in gone]
    left = f"execution {' and '.join(numbers[id(e)] for e in stay)}" if stay else "none of them"
    return [*taken, f"What stays: {left}."]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}…"


def _however(anomaly: str, grade: str, evidence: Mapping[str, Any]) -> str:
    times = count(evidence["times"])
    if anomaly == "refused_repeat":
        return "A call that was refused for what it asks is refused again: nothing was changed, only time was spent."
    if anomaly in ("redundant_read", "loop"):
        return "With equal arguments and no change in between, a call can bring nothing new."
    if anomaly == "retry_after_success":
        return "A call that was applied needs no other attempt; if this one was applied too, the effect happened twice."
    if anomaly == "double_intent":
        return (
            "One intent is acted on once; nothing in the record takes back the others."
            if grade == "definite"
            else "One intent is acted on once. That these are one intent is likely, not declared: "
            "`intent` or `one_per` in the tool catalogue decides it."
        )
    if grade == "definite":
        said = f"One intended effect is applied once. It was applied {times}"
        if any(e["undone_by"] for e in live(evidence)):
            return f"{said}, and had to be taken back elsewhere."
        return f"{said}, and nothing in the record undoes a repeat."
    return f"One intended effect is applied once. It was probably applied {times}; the record does not prove it."
