"""Small programs that make spans in every way there is, for comparing two ways of making them.

Each takes the program's own tracer. None may depend on anything but the seed and the clock it is run with.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import math
import threading
from collections.abc import Callable, Generator
from typing import Any

from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, Tracer, TraceState

import driftline
from driftline._settings import Capture, settings

Program = Callable[[Tracer], object]
PROGRAMS: dict[str, Program] = {}


def program(make: Program) -> Program:
    """One of them."""
    PROGRAMS[make.__name__] = make
    return make


class Colour(str, enum.Enum):
    """Text that is not only text."""

    RED = "red"


class Unreadable(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@driftline.tool(effect="write", idempotent=False, targets=["order/1"], key="k", used=["notes/plan@v1"])
def refund(order: Any, cents: Any = 5, *, why: Any = None) -> Any:
    """Gives back what it is asked to."""
    return why if why is not None else f"refunded {type(order).__name__} {cents}"


@driftline.tool
def plain(value: Any = None) -> Any:
    return value


@driftline.step("nothing to say")
def without() -> None: ...


@driftline.retrieval
def look_up(**anything: Any) -> list[str]:
    return sorted(anything)


@driftline.tool(effect="write")
def fails(error: BaseException) -> None:
    raise error


class Desk:
    """Methods of all kinds."""

    @driftline.tool(effect="write")
    def close(self, ticket: str, *, at: int = 3) -> int:
        return len(ticket) + at

    @classmethod
    @driftline.tool
    def every(cls, n: int) -> int:
        return n

    @staticmethod
    @driftline.step
    def alone(n: int) -> int:
        return n


@program
def settled_arguments(_: Tracer) -> None:
    texts = ("991", "", "é ☃ \U0001f600", "\ud800", '{"b": 1, "a": [1.0]}', " [1]", "[broken", "x" * 1024, "x" * 1025)
    integers = (0, -7, 2**53, 2**53 + 1, -(2**70), 10**400)
    floats = (0.0, -0.0, 1.5, 1e21, 5e-324, math.nan, math.inf)
    for value in (*texts, *integers, *floats, True, False, None):
        refund(value)
        refund(order=value, cents=1)
        plain(value)
        refund("1", why=value)


@program
def arguments_that_may_change(_: Tracer) -> None:
    changing: dict[str, Any] = {"lines": [1, 2], "who": {"name": "é"}}
    for value in ([1], (1, "a"), changing, {3, 1}, b"bytes", Colour.RED, object(), frozenset("a"), [object()]):
        refund(value)
        refund("1", why=value)
    changing["lines"].append(3)
    plain(changing)


@program
def calls_of_all_shapes(_: Tracer) -> None:
    refund("1", 2)
    refund("1", cents=2, why="x")
    refund(cents=2, order="1")
    without()
    look_up(b=1, a="2")
    Desk().close("t")
    Desk().close(ticket="t", at=4)
    Desk.every(1)
    Desk().every(n=2)
    Desk.alone(3)
    wrong_calls: list[Callable[[], Any]] = [
        lambda: refund(cents=1),  # type: ignore[call-arg]
        lambda: refund("1", 2, 3),  # type: ignore[call-arg]
        lambda: refund("1", colour="red"),  # type: ignore[call-arg]
        lambda: plain(1, 2),  # type: ignore[call-arg]
    ]
    for wrong in wrong_calls:
        with contextlib.suppress(TypeError):
            wrong()


@program
def failures(_: Tracer) -> None:
    ordinary = (ValueError("x"), ValueError("\ud800"), driftline.Refused("no"), Unreadable())
    for error in (*ordinary, KeyboardInterrupt(), SystemExit(3), GeneratorExit()):
        with contextlib.suppress(BaseException):
            fails(error)
        with contextlib.suppress(BaseException), driftline.tool("block", effect="write"):
            raise error


@program
def scopes(_: Tracer) -> None:
    plain(1)
    with driftline.run("w", id="r-1", conversation="c", expects=["tool:plain"], variant="v") as run:
        plain(1)
        with driftline.agent("a", instance="i", uow="u", atomic=True):
            plain(2)
            driftline.flush()  # with it, the pending copies of what is still open
            refund("1")
            with driftline.agent("b"), driftline.run("inner", id="r-2"):
                plain(3)
            plain(4)
        for n in range(20):
            with driftline.agent(f"agent {n}"):
                plain(n)
        settings.variant = "other"
        plain(5)
        run.outcome("partial")
        run.set("n", 1)
    with driftline.run("w", id="r-3"):
        plain(6)


@program
def said_by_the_program(tracer: Tracer) -> None:
    @driftline.tool(effect="write")
    def talks(order: str) -> str:
        span = trace.get_current_span()
        span.set_attribute("mine", [1, 2])
        span.set_attribute("driftline.effect", "read")
        span.set_attribute("driftline.call.result_digest", "mine")
        span.set_attributes({"a": "b", "mine": "again", "": 1, "odd": object()})  # type: ignore[dict-item]
        span.add_event("e", {"k": "v"})
        span.add_link(SpanContext(1, 2, is_remote=True), {"l": 1})
        span.update_name("renamed")
        span.set_status(Status(StatusCode.OK))
        read: Any = span
        return str(dict(read.attributes)) + str(read.to_json()) + repr(read)

    @driftline.tool(effect="write")
    def fails_after_all() -> None:
        trace.get_current_span().set_status(StatusCode.OK)
        raise ValueError("x")

    @driftline.tool
    def ends_it() -> int:
        trace.get_current_span().end()
        return 3

    assert talks("1")
    with contextlib.suppress(ValueError):
        fails_after_all()
    ends_it()
    with tracer.start_as_current_span("own", attributes={"x": (1, 2)}), driftline.step("s"):
        plain(1)
        with tracer.start_as_current_span("inner"):
            plain(2)


@program
def blocks(_: Tracer) -> None:
    with driftline.tool("book", effect="destructive", idempotent=True, tool_call_id="t", call_id="c") as call:
        call.arguments({"seat": "12A"})
        call.result(["ok", 1])
        call.used("s/k@v")
        call.targets("a", "b")
        call.set("odd", "\ud800")
        call.fail("because")
        call.span.add_event("e")
    with driftline.llm("m", provider="p") as model:
        model.usage(input_tokens=3, output_tokens=4)
        model.finished("stop")
    with driftline.memory.read("notes", ["a", "b"]) as read:
        read.observed({"a": "v1", "b": None}, ordinal={"a": 1, "b": 2})
    with driftline.memory.write("notes", "a", parents=[read.version]) as write:
        write.wrote("v2")
        write.content({"x": 1})
    with driftline.validation("v") as check:
        check.verdict("skipped")
    with contextlib.suppress(AssertionError), driftline.validation("w"):
        raise AssertionError
    with driftline.send("q", message_id="m") as message:
        carrier = message.carrier
    with driftline.receive("q", carrier), driftline.tool("inside"):
        plain(1)


@program
def parents_of_all_kinds(_: Tracer) -> None:
    state = TraceState([("vendor", "x")])
    for remote in (True, False):
        for flags in (0, 1, 2, 3, 5, 255):
            for number in (7, 0):
                parent = NonRecordingSpan(SpanContext(number, 8, remote, TraceFlags(flags), state))
                token = otel_context.attach(trace.set_span_in_context(parent))
                plain(flags)
                with driftline.run("r", id="r"):
                    plain(remote)
                otel_context.detach(token)


@program
def baggage_of_the_program(_: Tracer) -> None:
    for value in ("r-1", "", 5, None):
        token = otel_context.attach(baggage.set_baggage("driftline.run.id", value))
        plain(1)
        otel_context.detach(token)
    headers = {"baggage": "driftline.run.id=theirs,a=b", "traceparent": f"00-{1:032x}-{2:016x}-01"}
    token = otel_context.attach(driftline.extract(headers))
    plain(1)
    otel_context.detach(token)


@program
def generators_and_coroutines(_: Tracer) -> None:
    @driftline.tool
    def items(n: int) -> Generator[int, None, None]:
        for i in range(n):
            plain(i)
            yield i

    @driftline.tool(effect="write")
    async def later(n: int) -> int:
        await asyncio.sleep(0)
        plain(n)
        return n

    @driftline.agent
    async def stream(n: int) -> Any:
        for i in range(n):
            await later(i)
            yield i

    async def main() -> None:
        assert [item async for item in stream(2)] == [0, 1]
        broken = stream(3)
        assert await broken.__anext__() == 0
        await broken.aclose()
        await asyncio.gather(later(1), later(2))
        waiting = asyncio.ensure_future(later(3))
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting

    assert list(items(2)) == [0, 1]
    first = items(3)
    next(first)
    first.close()
    asyncio.run(main())


@program
def retries(_: Tracer) -> None:
    outcomes = iter([TimeoutError("slow"), "ok"])

    @driftline.tool(effect="write")
    def charge(order: str) -> str:
        answer = next(outcomes)
        if isinstance(answer, Exception):
            raise answer
        plain(order)
        return str(answer)

    for attempt in driftline.attempts(3, call_id="c-1"):
        with attempt:
            charge("991")
            plain(1)


@program
def limits(_: Tracer) -> None:
    with driftline.tool("many") as call:
        for n in range(150):
            call.span.set_attribute(f"k{n}", n)
        for n in range(3):
            call.span.add_event(f"e{n}", {f"a{i}": i for i in range(140)})
            call.span.add_link(call.span_context)

    @driftline.tool
    def many() -> None:
        trace.get_current_span().set_attributes({f"k{n}": "x" * n for n in range(140)})

    many()


@program
def other_captures(_: Tracer) -> None:
    captures: tuple[Capture, ...] = ("full", "off", "digests")
    for capture in captures:
        settings.capture = capture
        refund("1", 2)
        plain({"a": 1})
        plain("x" * 40_000)


@program
def threads(_: Tracer) -> None:
    with driftline.run("r", id="r"):
        context = otel_context.get_current()

        def work(n: int) -> None:
            token = otel_context.attach(context)
            plain(n)
            otel_context.detach(token)

        for n in range(3):
            thread = threading.Thread(target=work, args=(n,))
            thread.start()
            thread.join()


@program
def links_of_the_program(tracer: Tracer) -> None:
    @driftline.tool
    def linked() -> SpanContext:
        return trace.get_current_span().get_span_context()

    with tracer.start_as_current_span("after", links=[Link(linked(), {"why": "after"})]):
        plain(1)
