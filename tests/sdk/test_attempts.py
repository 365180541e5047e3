"""Retries: every attempt is a span, all of one logical call, and no other call is taken for it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from recorded_spans import Recorded

import driftline
from driftline._settings import settings

ID, NUMBER, MAX, REASON = (
    "driftline.call.id", "driftline.attempt", "driftline.attempt.max", "driftline.attempt.reason",
)  # fmt: skip


class Flaky:
    """Fails as often as told."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.left = failures
        self.error = error or TimeoutError("slow")

    def __call__(self, seat: str = "1A") -> str:
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return seat


def _ids(spans: Recorded) -> list[Any]:
    return [span.attributes.get(ID) for span in spans.all()]


def test_until_one_succeeds(spans: Recorded) -> None:
    """Three spans of one call: numbered, with the reason of each but the first."""
    book = driftline.tool("book", effect="write")(Flaky(2))
    tries = 0
    for attempt in driftline.attempts(5):
        with attempt:
            tries += 1
            book("1A")
    said = [span.attributes for span in spans.all()]
    assert 3 == tries == len(said)
    assert len(set(_ids(spans))) == 1
    assert [(one[NUMBER], one[MAX], one.get(REASON)) for one in said] == [
        (1, 5, None),
        (2, 5, "TimeoutError"),
        (3, 5, "TimeoutError"),
    ]
    assert [one["driftline.effect.outcome"] for one in said] == ["unknown", "unknown", "applied"]


def test_exhaustion(spans: Recorded) -> None:
    """The last attempt's exception is raised."""
    book = driftline.tool("book")(Flaky(9))
    with pytest.raises(TimeoutError):
        for attempt in driftline.attempts(3):
            with attempt:
                book()
    assert [span.attributes[NUMBER] for span in spans.all()] == [1, 2, 3]


@pytest.mark.parametrize("error", [ValueError("other"), KeyboardInterrupt()])
def test_other_exceptions_end_it(error: BaseException, spans: Recorded) -> None:
    """What is not retried comes out at once."""
    book = driftline.tool("book")(Flaky(9, error))
    with pytest.raises(type(error)):
        for attempt in driftline.attempts(3, on=TimeoutError):
            with attempt:
                book()
    assert len(spans.all()) == 1


def test_a_loop_left_early(spans: Recorded) -> None:
    """`break`, and an attempt whose block is never entered, end the loop."""
    for attempt in driftline.attempts(3):
        with attempt:
            break
    assert sum(1 for _ in driftline.attempts(3)) == 1


def test_async_attempts(spans: Recorded) -> None:
    """`async for` waits without holding up the loop."""
    book = driftline.tool("book")(Flaky(2))
    ticks = []

    async def main() -> str:
        async def clock() -> None:
            while True:
                ticks.append(1)
                await asyncio.sleep(0.001)

        running = asyncio.create_task(clock())
        async for attempt in driftline.attempts(3, wait=0.02):
            async with attempt:
                seat = book("2B")
        running.cancel()
        return seat

    assert asyncio.run(main()) == "2B"
    assert len(ticks) > 5
    assert len(set(_ids(spans))) == 1


def test_as_a_decorator(spans: Recorded) -> None:
    """Each call of the decorated function is a logical call of its own."""
    flaky = Flaky(1)

    @driftline.attempts(3)
    @driftline.tool
    def book(seat: str) -> str:
        return flaky(seat)

    assert (book("1A"), book("1A")) == ("1A", "1A")
    first, second, third = _ids(spans)
    assert first == second != third


def test_as_a_decorator_of_a_coroutine(spans: Recorded) -> None:
    """Likewise asynchronously."""
    flaky = Flaky(2)

    @driftline.attempts(3)
    @driftline.tool
    async def book(seat: str) -> str:
        return flaky(seat)

    assert asyncio.run(book("1A")) == "1A"
    assert [span.attributes[NUMBER] for span in spans.all()] == [1, 2, 3]


def test_only_the_outermost_call_is_the_retried_one(spans: Recorded) -> None:
    """What a tool, a step or an agent does inside is not itself retried."""
    with driftline.attempt(2, call_id="c", max=3):
        with driftline.step("outer"), driftline.tool("inner"):
            pass
        with driftline.agent("a"), driftline.tool("its"):
            pass
        with driftline.llm("m"), driftline.memory.read("s", "k"), driftline.tool("direct"):
            pass
    assert {"step outer", "execute_tool direct"} == {span.name for span in spans.all() if NUMBER in span.attributes}
    with driftline.tool("after"):
        pass
    assert NUMBER not in spans.said("execute_tool after")


def test_calls_of_one_attempt_are_told_apart(spans: Recorded) -> None:
    """By tool, by arguments, by target; and equal ones by counting: never do two share an id."""

    @driftline.tool
    def book(seat: str) -> None: ...

    for number in (1, 2):
        with driftline.attempt(number, call_id="c"):
            book("1A")
            book("2B")
            book("2B")
            for target in ("x", "y"):
                with driftline.tool("pay", targets=[target]):
                    pass
            with driftline.tool("mail"):
                pass
            with driftline.tool("mail"):
                pass
    ids = _ids(spans)
    assert len(set(ids[:7])) == 7
    assert ids[:7] == ids[7:]


def test_a_retry_that_skips_what_was_done(spans: Recorded) -> None:
    """The second attempt only does what is left: that is not the first call again."""

    @driftline.tool
    def book(seat: str) -> None: ...

    with driftline.attempt(1, call_id="c"):
        book("1A")
        book("2B")
    with driftline.attempt(2, call_id="c"):
        book("2B")
    first, second, again = _ids(spans)
    assert first != second == again


def test_told_apart_without_digests(spans: Recorded) -> None:
    """With capture off calls still differ, by something nobody can compute from the arguments."""
    settings.capture = "off"

    @driftline.tool
    def book(seat: str) -> None: ...

    with driftline.attempt(1, call_id="c"):
        book("1A")
        book("2B")
    with driftline.attempt(2, call_id="c"):
        book("2B")
    first, second, again = _ids(spans)
    assert first != second == again
    assert driftline.canonical.digest({"seat": "1A"})[:8] not in first


def test_an_id_given_wins(spans: Recorded) -> None:
    """What the program says of a call is not overwritten."""
    with driftline.attempt(1, call_id="c"), driftline.tool("t", call_id="mine"):
        pass
    said = spans.said("execute_tool t")
    assert (said[ID], said[NUMBER]) == ("mine", 1)


def test_ids_over_a_resumed_run(spans: Recorded) -> None:
    """With an id of its own a loop in another process continues the call."""
    for number in (1, 2):
        for attempt in driftline.attempts(1, call_id="order-7"):
            with attempt, driftline.tool("pay"):
                assert number == 1 or attempt.number == 1
    assert _ids(spans) == ["order-7/pay"] * 2


def test_each_loop_is_another_call(spans: Recorded) -> None:
    """Without one it has a new id."""
    for _ in range(2):
        for attempt in driftline.attempts(2):
            with attempt, driftline.tool("pay"):
                pass
    assert len(set(_ids(spans))) == 2


def test_names_with_spaces_and_slashes(spans: Recorded) -> None:
    """The whole name of a tool is in the id."""
    with driftline.attempt(1, call_id="c"):
        for name in ("my tool", "your tool", "a/b"):
            with driftline.tool(name):
                pass
    assert _ids(spans) == ["c/my tool", "c/your tool", "c/a/b"]


def test_threads_in_one_attempt(spans: Recorded) -> None:
    """Calls made at once in one attempt still all have their own id."""
    this = driftline.attempt(1, call_id="c")
    threads = [threading.Thread(target=lambda: [this.attributes("t") for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert this.attributes("t")[ID] == "c/t#801"


def test_retrievals_carry_attempts(spans: Recorded) -> None:
    """They are calls as well."""
    with driftline.attempt(1, call_id="c"), driftline.retrieval("handbook"):
        pass
    assert spans.said("retrieval handbook")[ID] == "c/handbook"


def test_at_least_one() -> None:
    """No attempt at all would silently do nothing."""
    with pytest.raises(ValueError, match="at least one"):
        driftline.attempts(0)
