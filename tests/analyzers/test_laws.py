"""The metamorphic laws (docs/detectors.md, promise 6) over every case of every detector and over random histories.

Dropping spans, or seeing only the copy a span leaves at its start, makes nothing definite; neither does any clock that
goes wrong. Doubling spans and shuffling their arrival change nothing. Seen from the other end: what is definite stays
so when late spans come. Hundreds of tellings are judged as one record, so the whole suite is a few engine calls.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from cases import read_cases
from history_generator import history
from history_laws import violations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftline.analyzers import Config

_CASES = read_cases()
_SHOWN = 5


def _message(found: Sequence[str]) -> str:
    return f"{len(found)} breaches, of which\n\n" + "\n\n".join(found[:_SHOWN])


def test_the_cases_obey_the_laws() -> None:
    """All that bring no settings of their own, judged together."""
    found = violations([case.history for case in _CASES if not case.configured])
    assert not found, _message(found)


@pytest.mark.parametrize("case", [case for case in _CASES if case.configured], ids=str)
def test_a_case_with_settings_obeys_the_laws(case: object) -> None:
    """Each under its own settings. Targets that outlive runs tie tellings together, so those are judged one by one."""
    config = case.config()  # type: ignore[attr-defined]
    lasting = any(tool.lasting for tool in config.catalogue.tools.values())
    found = violations([case.history], config, apart=lasting)  # type: ignore[attr-defined]
    assert not found, _message(found)


@settings(max_examples=3, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_random_histories_obey_the_laws(seed: int) -> None:
    """A hundred and fifty random histories a seed; a breach is shrunk line by line before it is shown."""
    dice = random.Random(seed)
    texts = [history(dice, length=dice.randint(4, 16)) for _ in range(150)]
    found = violations(texts, seed=seed)
    if found:
        text = next(text for text in texts if any(breach.endswith(text) for breach in found))
        found = violations([_shrunk(text, lambda lines: bool(violations([lines], seed=seed)))], seed=seed) or found
    assert not found, _message(found)


def test_bounded_skew_makes_nothing_definite() -> None:
    """With a stated bound, clocks that keep to it may order events, and still prove nothing that is not so."""
    found = violations([case.history for case in _CASES if not case.configured], Config(skew_ms=50.0), laws=("clocks",))
    assert not found, _message(found)


def _shrunk(text: str, breaks: Callable[[str], bool]) -> str:
    """*text* without the lines that the breach does not need."""
    lines = text.splitlines()
    place = 0
    while place < len(lines):
        fewer = "\n".join(lines[:place] + lines[place + 1 :]) + "\n"
        try:
            still = breaks(fewer)
        except (KeyError, ValueError):  # a label the rest of the text needs
            still = False
        if still:
            del lines[place]
        else:
            place += 1
    return "\n".join(lines) + "\n"
