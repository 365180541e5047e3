"""Generators: the span covers the whole iteration, and its context never reaches the consumer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from recorded_spans import Recorded

import driftline
from driftline.canonical import digest


def _current() -> str:
    return getattr(trace.get_current_span(), "name", "")


@driftline.tool
def stream(n: int) -> Iterator[str]:
    """Yields where it is."""
    for _ in range(n):
        yield _current()


@driftline.tool
async def astream(n: int) -> AsyncIterator[str]:
    """As `stream`."""
    for _ in range(n):
        await asyncio.sleep(0)
        yield _current()


def test_inside_and_outside(spans: Recorded) -> None:
    """The body runs in the span, the consumer outside of it; children of both hang where they belong."""
    with driftline.step("consumer"):
        for where in stream(2):
            assert where == "execute_tool stream"
            assert _current() == "step consumer"
            with driftline.step("between"):
                pass
    between = [span for span in spans.all() if span.name == "step between"]
    assert {spans.one("step consumer").context.span_id} == {span.parent.span_id for span in between if span.parent}


def test_inside_and_outside_async(spans: Recorded) -> None:
    """Likewise asynchronously."""

    async def main() -> None:
        async with driftline.step("consumer"):
            async for where in astream(2):
                assert where == "execute_tool astream"
                assert _current() == "step consumer"

    asyncio.run(main())
    assert spans.names == ["execute_tool astream", "step consumer"]


def test_the_span_covers_the_iteration(spans: Recorded) -> None:
    """It begins with the first item and ends with the last, not with the call."""
    iterator = stream(1)
    assert spans.names == []
    assert next(iterator) == "execute_tool stream"
    assert spans.names == []
    assert next(iterator, "none") == "none"
    assert spans.names == ["execute_tool stream"]
    assert digest({"n": 1}) == spans.said("execute_tool stream")["driftline.call.args_digest"]


def test_never_iterated(spans: Recorded) -> None:
    """A generator nobody asks for an item did nothing."""
    stream(1)
    stream(1).close()
    assert spans.names == []


def test_early_break(spans: Recorded) -> None:
    """Leaving early ends the span when the generator is closed; that is no failure, but no proof of an effect."""
    closed = []

    @driftline.tool(effect="write")
    def write() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(_current())

    for _ in write():
        break
    assert closed == ["execute_tool write"], "clean-up runs in the span"
    assert _current() == ""
    assert spans.one("execute_tool write").status.is_unset
    assert spans.said("execute_tool write")["driftline.effect.outcome"] == "unknown"


def test_early_aclose(spans: Recorded) -> None:
    """Likewise by `aclose`."""
    closed = []

    @driftline.tool
    async def write() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(_current())

    async def main() -> None:
        async with contextlib.aclosing(write()) as items:  # type: ignore[type-var]
            async for _ in items:
                break
        assert _current() == ""

    asyncio.run(main())
    assert closed == ["execute_tool write"]
    assert spans.names == ["execute_tool write"]


def test_an_abandoned_async_generator_ends_with_its_loop(spans: Recorded) -> None:
    """A break without `aclose` leaves it to the event loop, in another task: the span ends all the same."""

    async def main() -> None:
        async for _ in astream(3):
            break

    asyncio.run(main())
    assert spans.names == ["execute_tool astream"]


def test_send_throw_and_return(spans: Recorded) -> None:
    """All of the generator protocol passes through; what is returned is the result."""

    @driftline.step
    def talk() -> Generator[str, str, str]:
        heard = yield "hello"
        try:
            heard = yield f"you said {heard}"
        except KeyError as thrown:
            heard = yield f"you threw {thrown}"
        return f"bye {heard}"

    generator = talk()
    assert next(generator) == "hello"
    assert generator.send("a") == "you said a"
    assert generator.throw(KeyError("b")) == "you threw 'b'"
    with pytest.raises(StopIteration) as stop:
        generator.send("c")
    assert stop.value.value == "bye c"
    assert digest("bye c") == spans.said("step talk")["driftline.call.result_digest"]


def test_asend_and_athrow(spans: Recorded) -> None:
    """Likewise asynchronously."""

    @driftline.step
    async def talk() -> Any:
        heard = yield "hello"
        try:
            yield f"you said {heard}"
        except KeyError as thrown:
            yield f"you threw {thrown}"

    async def main() -> list[str]:
        generator = talk()
        return [
            await generator.__anext__(),
            await generator.asend("a"),
            await generator.athrow(KeyError("b")),
            await anext(generator, "end"),
        ]

    assert asyncio.run(main()) == ["hello", "you said a", "you threw 'b'", "end"]
    assert spans.names == ["step talk"]


def test_yield_from(spans: Recorded) -> None:
    """A traced generator delegates to a traced one."""

    @driftline.step
    def outer() -> Iterator[str]:
        yield from stream(2)

    assert list(outer()) == ["execute_tool stream"] * 2
    inner = spans.one("execute_tool stream")
    assert inner.parent is not None
    assert spans.one("step outer").context.span_id == inner.parent.span_id


def test_exceptions(spans: Recorded) -> None:
    """One raised by the body fails the span; one thrown in and not handled does too."""

    @driftline.tool
    def fails() -> Iterator[int]:
        yield 1
        raise ValueError("body")

    @driftline.tool
    async def afails() -> AsyncIterator[int]:
        yield 1
        raise ValueError("body")

    async def main() -> None:
        async for _ in afails():
            pass

    with pytest.raises(ValueError, match="body"):
        list(fails())
    with pytest.raises(ValueError, match="body"):
        asyncio.run(main())
    generator = stream(2)
    next(generator)
    with pytest.raises(KeyError):
        generator.throw(KeyError("thrown"))  # type: ignore[attr-defined]
    assert [span.attributes["error.type"] for span in spans.all()] == ["ValueError", "ValueError", "KeyError"]
    assert _current() == ""


def test_arguments_that_do_not_fit(spans: Recorded) -> None:
    """The call's own TypeError comes out, and the span that had begun ends."""
    with pytest.raises(TypeError, match="unexpected keyword"):
        list(stream(1, wrong=2))  # type: ignore[call-arg]
    assert spans.said("execute_tool stream")["error.type"] == "TypeError"


def test_two_at_once(spans: Recorded) -> None:
    """Interleaved generators do not see each other."""
    for one, other in zip(stream(2), stream(2), strict=True):
        assert "execute_tool stream" == one == other
    one_span, other_span = spans.all()
    assert one_span.parent is other_span.parent is None
