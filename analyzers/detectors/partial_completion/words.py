"""The text of a finding, rendered from its evidence: it cannot say what the evidence does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from driftline.analyzers.detectors.partial_completion.places import noun
from driftline.analyzers.finding import Explanation

Evidence = Mapping[str, Any]

_ENDED = {
    "missing": "never ran",
    "open": "began and never ended",
    "rejected": "found a fault",
    "failed": "failed",
    "refused": "was refused",
    "cancelled": "was cancelled",
    "skipped": "was skipped",
    "done": "was done",
}


def title(anomaly: str, evidence: Evidence) -> str:
    """One sentence for a person with little time."""
    return _TITLES[anomaly](evidence)


def explanation(anomaly: str, evidence: Evidence) -> Explanation:
    """The argument: what is given, what follows, what should hold instead."""
    let, then, however = _ARGUMENTS[anomaly](evidence)
    proof = evidence["doubts"]
    if proof:
        however = f"{however} It is not proved: {'; '.join(proof)}."
    return Explanation(tuple(let), tuple(then), however)


def _says(evidence: Evidence) -> str:
    """`the run claims complete`, or that it ended without failure."""
    if evidence["claimant"]:
        return f"{evidence['claimant']} claims complete"
    return f"{evidence['maker']} ended without failure"


def _error(why: str) -> str:
    return f" ({why})" if why else ""


# -- promises


def _broken_title(evidence: Evidence) -> str:
    return f"{_says(evidence)}, but {_shortfall(evidence)}"


def _shortfall(evidence: Evidence) -> str:
    promise = evidence["obligation"]
    what, state = noun(promise["unit"], promise["name"]), evidence["state"]
    if promise["needed"] > 1:
        done = (
            f"{'was sent' if promise['unit'] == 'send' else 'was done'} {promise['met']} of {promise['needed']} times"
        )
        tried = ", ".join(f"{number} {state}" for state, number in evidence["tried"].items())
        return f"{what} {done}{f' ({tried})' if tried else ''}"
    if state == "missing" and promise["unit"] == "send":
        return f"{what} was never sent"
    return f"{what} {_ENDED[state]}{_error(evidence['why']) if state == 'failed' else ''}"


def _broken(evidence: Evidence) -> tuple[list[str], list[str], str]:
    promise, looked = evidence["obligation"], evidence["looked_at"]
    times = f" {promise['needed']} times" if promise["needed"] > 1 else ""
    let = [
        f"{_capital(evidence['maker'])} promised {promise['text']} (driftline.expects).",
        f"{_capital(_says(evidence))}.",
    ]
    what = noun(promise["unit"], promise["name"])
    then = [f"The promise is kept by {what} ending{times} without failure and not refused."]
    tried = ", ".join(f"{number} {state}" for state, number in evidence["tried"].items())
    where = f"{_many(looked['spans'], 'span')} in {_many(looked['traces'], 'trace')}"
    met = _many(promise["met"], "such end") if promise["met"] else "no such end"
    then.append(f"The record of the run ({where}) holds {met}" + (f"; {tried}." if tried else "."))
    if not evidence["doubts"]:
        then.append("Every tick of the logical clocks in between is accounted for, so no span of it was lost.")
    return let, then, f"What says it is done has kept its promises; {promise['text']} was not kept."


# -- fan-outs


_EACH = {"tool": "calls of tool {}", "step": "runs of step {}", "agent": "turns of agent {}", "run": "runs of {}"}


def _fan_out_title(evidence: Evidence) -> str:
    batch, lacking = evidence["fan_out"], evidence["lacking"]
    why = _error(evidence["why"]) if list(lacking) == ["failed"] else ""
    return f"{_lacking(lacking, batch)}{why}, and {_says(evidence)}"


def _lacking(lacking: Mapping[str, int], batch: Evidence) -> str:
    """`1 of 3 parallel calls of tool fetch failed`."""
    sent = batch["unit"] == "send"
    what = f"messages to {batch['name']}" if sent else "parallel " + _EACH[batch["unit"]].format(batch["name"])
    ended = {**_ENDED, "open": "was not worked on to the end"} if sent else _ENDED
    first, *others = lacking.items()
    more = "".join(f", {number} {ended[state]}" for state, number in others)
    return f"{first[1]} of {batch['started']} {what} {ended[first[0]]}{more}"


def _fan_out(evidence: Evidence) -> tuple[list[str], list[str], str]:
    batch = evidence["fan_out"]
    together = "sent them" if batch["unit"] == "send" else "had them going at the same time"
    let = [
        f"{_lacking(evidence['lacking'], batch)}; {_capital(evidence['maker'])} {together}.",
        f"{_capital(_says(evidence))}.",
    ]
    then = [
        f"{batch['finished']} of {batch['started']} ended well.",
        (
            "No later call of that name with the same arguments, no call on the same target and no compensation made "
            "up for the rest."
        ),
    ]
    return let, then, "Work that was spread over several is complete when all of them have done their part."


# -- vanished failures


def _vanished_title(evidence: Evidence) -> str:
    failed = evidence["failed"]
    on = f" for {', '.join(failed['targets'])}" if failed["targets"] else ""
    what = noun(failed["unit"], failed["name"])
    return f"{what} failed{_error(failed['why'])}{on}, nothing made up for it, and {_says(evidence)}"


def _vanished(evidence: Evidence) -> tuple[list[str], list[str], str]:
    failed, cause = evidence["failed"], evidence["cause"]
    what = noun(failed["unit"], failed["name"])
    let = [f"{_capital(what)} failed{_error(failed['why'])}." + _effect(failed)]
    if cause:
        let.append(f"Inside of it {noun(cause['unit'], cause['name'])} had failed{_error(cause['why'])}.")
    let.append(f"{_capital(_says(evidence))}.")
    after = evidence["came_after"]
    then = [
        (
            "No attempt of the same call ended well, no later call had the same name and target, no other call acted "
            "on the same target, and nothing undid it."
        ),
        f"{_many(after, 'piece')} of work came after it; none of it says that something is missing.",
    ]
    return let, then, "What failed is done again, done otherwise, undone or reported; here it was none of these."


def _effect(failed: Evidence) -> str:
    if failed["unit"] != "tool" or failed["effect"] in ("", "unknown"):
        return ""
    source = {
        "explicit": "by its span",
        "catalogue": "by the catalogue",
        "child": "by the calls inside",
        "name": "by its name",
    }
    return f" It is a {failed['effect']} {source.get(failed['effect_source'], '')}.".replace("  ", " ")


# -- spans without an end


def _open_title(evidence: Evidence) -> str:
    return f"{evidence['open']['what']} began and never ended, and {_says(evidence)}"


def _open(evidence: Evidence) -> tuple[list[str], list[str], str]:
    what = _capital(evidence["open"]["what"])
    if evidence["open"]["how"] == "pending":
        let = [f"{what} was announced when it began."]
        then = ["No final span replaced the announcement, and nothing of that name ended well later."]
    else:
        let = [f"{what} is named as the parent of other spans and never came."]
        then = [
            "Of the ticks of its process only the one of its start is missing: it had not ended when the last came."
        ]
    return [*let, f"{_capital(_says(evidence))}."], then, "A run is over when what it began has ended."


# -- messages


def _waiting_title(evidence: Evidence) -> str:
    message = evidence["message"]
    slowest = _duration(message["slowest_ms"])
    return (
        f"a message to {message['destination']} was not taken; the slowest of {message['taken']} others took {slowest}"
    )


def _waiting(evidence: Evidence) -> tuple[list[str], list[str], str]:
    message = evidence["message"]
    name = f" ({message['id']})" if message["id"] else ""
    to, slowest = message["destination"], _duration(message["slowest_ms"])
    let = [
        f"A message{name} was sent to {to}.",
        f"{message['taken']} messages to {to} were taken, the slowest after {slowest}.",
    ]
    then = [f"The record goes on for {_duration(message['waited_ms'])} after it and holds no receipt of it."]
    return let, then, "What is sent is taken within the time its destination usually needs."


def _duration(milliseconds: float) -> str:
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 120_000 else f"{milliseconds / 60_000:.0f} min"


# -- results


def _empty_title(evidence: Evidence) -> str:
    result = evidence["result"]
    if result["how"] == "cut_off":
        return f"{result['what']} was cut off ({result['reason']}), and {_says(evidence)}"
    return f"{result['what']} returned nothing, and {_says(evidence)}"


def _empty(evidence: Evidence) -> tuple[list[str], list[str], str]:
    result = evidence["result"]
    if result["how"] == "cut_off":
        then = ["No model call of that turn came after it, so the fragment is what the turn ended with."]
        return (
            [f"{_capital(result['what'])} ended with {result['reason']}.", f"{_capital(_says(evidence))}."],
            then,
            ("A model that is cut off has not finished what it was asked for."),
        )
    reason = "It sent, wrote and changed nothing that would be its answer in another way."
    if result["reason"] == "promised":
        reason = "It was promised, and no later call of it returned more."
    elif result["reason"] == "usually_full":
        reason = f"{result['full']} other calls of it in the record returned something."
    let = [f"{_capital(result['what'])} ended without failure and returned nothing.", f"{_capital(_says(evidence))}."]
    return let, [reason], "Work that returns nothing has probably not been done."


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_TITLES: dict[str, Callable[[Evidence], str]] = {
    "false_success": _broken_title,
    "missing_step": _broken_title,
    "incomplete_fan_out": _fan_out_title,
    "swallowed_failure": _vanished_title,
    "unfinished_step": _open_title,
    "unconsumed_message": _waiting_title,
    "empty_result": _empty_title,
}
_ARGUMENTS: dict[str, Callable[[Evidence], tuple[list[str], list[str], str]]] = {
    "false_success": _broken,
    "missing_step": _broken,
    "incomplete_fan_out": _fan_out,
    "swallowed_failure": _vanished,
    "unfinished_step": _open,
    "unconsumed_message": _waiting,
    "empty_result": _empty,
}
