"""The public types, for type checkers only: nothing here is run. Decorators keep signatures, blocks give handles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from opentelemetry.context import Context
from typing_extensions import assert_type

import driftline
from driftline import AgentHandle, Handle, ModelHandle, SendHandle, ToolHandle, ValidationHandle, memory
from driftline.memory import MemoryHandle


@driftline.tool
def bare(order: str, cents: int = 0) -> bool:
    return True


@driftline.tool()
def called(order: str, *, cents: int) -> bool:
    return True


@driftline.tool("named", effect="write", key=lambda order: order, targets=lambda order: [order], used=["s/k@v"])
def named(order: str) -> bool:
    return True


@driftline.tool(effect="write", idempotent=True, targets=["order/1"], key="k")
async def asynchronous(order: str) -> bool:
    return True


@driftline.step
def generator(n: int) -> Iterator[int]:
    yield n


@driftline.step(effect="read", expects="tool:x")
async def async_generator(n: int) -> AsyncIterator[int]:
    yield n


@driftline.run
def workflow(n: int) -> str:
    return ""


@driftline.run("nightly", expects=["tool:bare*2"], conversation="c", variant="v")
def nightly() -> None: ...


@driftline.run(expects="agent:clerk")
def weekly() -> None: ...


@driftline.agent
def clerk(order: str) -> str:
    return ""


@driftline.agent("clerk", instance="i", atomic=True)
def second_clerk(order: str) -> str:
    return ""


@driftline.validation
def check() -> bool:
    return True


@driftline.validation(targets="notes/plan@v1")
def other_check(total: int) -> bool:
    return True


@driftline.retrieval
def handbook(query: str) -> list[str]:
    return []


@driftline.attempts(3, on=TimeoutError)
@driftline.tool
def retried(order: str) -> int:
    return 1


@memory.read("notes", ["a", "b"])
def read_notes() -> str:
    return ""


class Clerk:
    @driftline.tool
    def method(self, order: str) -> int:
        return 1

    @classmethod
    @driftline.tool
    def class_method(cls, order: str) -> int:
        return 1

    @staticmethod
    @driftline.tool
    def static_method(order: str) -> int:
        return 1


def decorated() -> None:
    assert_type(bare("1", cents=2), bool)
    assert_type(called("1", cents=2), bool)
    assert_type(named("1"), bool)
    later: Callable[[str], Coroutine[Any, Any, bool]] = asynchronous
    assert_type(later, Callable[[str], Coroutine[Any, Any, bool]])
    assert_type(generator(1), Iterator[int])
    assert_type(async_generator(1), AsyncIterator[int])
    assert_type(workflow(1), str)
    assert_type(clerk("1"), str)
    assert_type(second_clerk("1"), str)
    assert_type(check(), bool)
    assert_type(other_check(1), bool)
    assert_type(handbook("q"), list[str])
    assert_type(retried("1"), int)
    assert_type(read_notes(), str)
    assert_type(Clerk().method("1"), int)
    assert_type(Clerk.class_method("1"), int)
    assert_type(Clerk.static_method("1"), int)
    function: Callable[[str], bool] = bare
    function("1")


def wrong_calls() -> None:
    """Each of these must be an error: an ignore that is not needed is one itself under --warn-unused-ignores."""
    bare(1)  # type: ignore[arg-type]
    called("1", 2)  # type: ignore[call-arg]
    nightly(1)  # type: ignore[call-arg]
    driftline.tool(5)  # type: ignore[call-overload]
    driftline.tool("t", efect="write")  # type: ignore[call-overload]
    driftline.init(capture="all")  # type: ignore[arg-type]
    with driftline.tool():  # type: ignore[attr-defined]
        pass


def blocks() -> None:
    with driftline.run("r") as run:
        assert_type(run, AgentHandle)
        run.outcome("complete")
    with driftline.agent("a") as agent:
        assert_type(agent, AgentHandle)
        agent.used("s/k@v")
    with driftline.step("s") as step:
        assert_type(step, ToolHandle)
    with driftline.tool("t") as tool:
        assert_type(tool, ToolHandle)
        assert_type(tool.call_id, str)
    with driftline.retrieval("r") as retrieval:
        assert_type(retrieval, ToolHandle)
    with driftline.llm("m") as model:
        assert_type(model, ModelHandle)
        model.usage(input_tokens=1, output_tokens=2)
    with driftline.validation("v") as validation:
        assert_type(validation, ValidationHandle)
        validation.verdict("fail")
    with driftline.send("q") as message:
        assert_type(message, SendHandle)
        assert_type(message.carrier, dict[str, str])
    with driftline.receive("q", {"traceparent": "…"}) as received:
        assert_type(received, Handle)
    with memory.read("s", "k") as read:
        assert_type(read, MemoryHandle)
        assert_type(read.refs, list[str])
        read.observed({"k": None}, ordinal={"k": 1})
    with memory.write("s", "k", parents=[read.version, None]) as write:
        assert_type(write, MemoryHandle)
    for attempt in driftline.attempts(3, on=(OSError, TimeoutError)):
        assert_type(attempt, driftline.Attempt)
        with attempt:
            pass
    assert_type(driftline.extract({}), Context)
    assert_type(driftline.flush(), bool)
    assert_type(driftline.current_run(), str)


async def async_blocks() -> None:
    async with driftline.agent("a") as agent:
        assert_type(agent, AgentHandle)
    async for attempt in driftline.attempts(2):
        async with attempt:
            assert_type(attempt, driftline.Attempt)
    assert_type(await asynchronous("1"), bool)
    async for item in async_generator(1):
        assert_type(item, int)
