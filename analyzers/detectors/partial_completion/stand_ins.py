"""What made up for a failure: another try, another route to the same target, a compensation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from driftline.analyzers.effects import WRITES

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# Words that many names share without meaning the same thing.
_EVERYDAY = {
    "get", "set", "run", "do", "step", "task", "node", "call", "tool", "the", "by", "of", "to", "for", "with", "and",
    "make", "process", "execute", "api", "data", "main", "new", "all",
}  # fmt: skip
_STAND_IN = {"fallback", "backup", "alternative", "alternate", "secondary", "retry", "recover", "degraded"}

Unit = Mapping[str, Any]


def ended_before(other: Unit, failed: Unit) -> bool:
    """Whether *other* is known to have ended before *failed* began: by one logical clock, else by one host's."""
    if failed["proc"] and failed["proc"] == other["proc"]:
        return failed["seq"] is not None and other["seq_end"] is not None and other["seq_end"] < failed["seq"]
    one_host = (other["host"], other["service"]) == (failed["host"], failed["service"])
    clockless = not (failed["proc"] and other["proc"])
    return bool(one_host and clockless and other["end_ns"] <= failed["start_ns"])


def targets(one: Unit, other: Unit) -> tuple[bool, bool]:
    """Whether both act on a common target, and whether they are known to act on different ones."""
    left, right = set(one["targets"]), set(other["targets"])
    return bool(left & right), bool(left and right and not left & right)


def same_work(failed: Unit, other: Unit) -> bool:
    """Whether *other* has the unit and name of what failed, and nothing says that it acted on something else."""
    return (other["unit"], other["label"]) == (failed["unit"], failed["label"]) and not targets(failed, other)[1]


def same_arguments(failed: Unit, other: Unit) -> bool:
    """Whether nothing says that both were given different arguments."""
    left, right = failed["args_digest"], other["args_digest"]
    return not left or not right or left == right


def other_route(failed: Unit, other: Unit) -> bool:
    """Whether *other* undoes work, reaches the same target, or does by its name the same in another way."""
    write = failed["effect"] in WRITES
    if other["compensates"]:
        return True
    if targets(failed, other)[0] and (not write or other["effect"] in WRITES):
        return True
    # Names prove nothing of writes (book_hotel is not book_flight), and agents may be called anything.
    return not write and other["unit"] == failed["unit"] != "agent" and _alike(failed["label"], other["label"])


def _alike(name: str, other: str) -> bool:
    words, others = _words(name), _words(other)
    return name != other and bool((words & others) - _EVERYDAY or others & _STAND_IN)


def _words(name: str) -> set[str]:
    return {word.casefold() for word in _WORDS.findall(name)}
