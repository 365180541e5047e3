"""A model that follows a script: the same question and seed give the same answer, for the same number of tokens."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

NAME = "scripted-1"

_FACTS = (
    "ridership doubled within a year", "the budget was passed by one vote", "nobody expected the second winter",
    "the records go back to 1911", "two engineers kept it running", "the new rules apply from spring",
    "half of the volunteers are under thirty", "the old maps were wrong by a mile",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What the model said and what it took."""

    text: str
    input_tokens: int
    output_tokens: int


def answer(question: str, seed: str, context: str = "") -> Answer:
    """Think for a moment."""
    dice = random.Random(f"{seed}/{question}")
    time.sleep(dice.uniform(0.001, 0.004))
    said = ", and ".join(dice.sample(_FACTS, 2))
    text = f"{question}: {said}."
    return Answer(text, len(f"{question} {context}".split()) * 4 // 3 + 40, len(text.split()) * 4 // 3)
