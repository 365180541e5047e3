"""Threads, tasks and copied contexts: each sees the run and span it was begun in, and nobody else's."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opentelemetry import trace
from recorded_spans import Recorded

import driftline


def _current() -> str:
    return getattr(trace.get_current_span(), "name", "")


def _parents(spans: Recorded) -> dict[str, str]:
    """The name of each span's parent, by its own."""
    names = {span.context.span_id: span.name for span in spans.all()}
    return {span.name: names[span.parent.span_id] if span.parent else "" for span in spans.all()}


def test_a_new_thread_begins_outside(spans: Recorded) -> None:
    """Contexts do not cross into threads by themselves; a copied context carries run and parent along."""
    with driftline.run("r", id="r"), driftline.agent("a"):
        context = contextvars.copy_context()
        bare = threading.Thread(target=driftline.tool("bare")(lambda: None))
        carried = threading.Thread(target=context.run, args=(driftline.tool("carried")(lambda: None),))
        for thread in (bare, carried):
            thread.start()
            thread.join()
    assert _parents(spans)["execute_tool bare"] == ""
    assert "driftline.run.id" not in spans.said("execute_tool bare")
    assert _parents(spans)["execute_tool carried"] == "invoke_agent a"
    assert spans.said("execute_tool carried")["driftline.run.id"] == "r"


def test_gathered_tasks_keep_apart(spans: Recorded) -> None:
    """Each task's spans hang under its own turn, and the run is everyone's."""

    @driftline.tool("look")
    async def look(agent: str) -> str:
        await asyncio.sleep(0)
        return _current()

    async def turn(agent: str) -> None:
        async with driftline.agent(agent):
            for _ in range(3):
                assert await look(agent) == "execute_tool look"
                assert f"invoke_agent {agent}" == _current()

    async def main() -> None:
        async with driftline.run("r", id="r"):
            await asyncio.gather(*(turn(f"a{n}") for n in range(5)))

    asyncio.run(main())
    by_id = {span.context.span_id: span.name for span in spans.all()}
    looks = [span for span in spans.all() if span.name == "execute_tool look"]
    assert len(looks) == 15
    for span in looks:
        assert span.parent is not None
        assert f"invoke_agent {span.attributes['gen_ai.agent.name']}" == by_id[span.parent.span_id]
        assert span.attributes["driftline.run.id"] == "r"


def test_one_operation_shared_by_tasks(spans: Recorded) -> None:
    """An instance entered by many tasks at once: each exit ends the span of its own entry."""
    shared = driftline.step("shared")

    async def use(n: int) -> None:
        async with shared as step:
            step.set("n", n)
            await asyncio.sleep(0.01 * (5 - n))
            step.set("after", n)
            assert step.span is trace.get_current_span()

    async def main() -> None:
        await asyncio.gather(*(use(n) for n in range(5)))

    asyncio.run(main())
    assert [span.attributes["n"] for span in spans.all()] == [4, 3, 2, 1, 0]
    assert all(span.attributes["n"] == span.attributes["after"] for span in spans.all())


def test_one_operation_shared_by_threads(spans: Recorded) -> None:
    """Likewise with threads, that leave in the order they came."""
    shared = driftline.step("shared")
    barrier = threading.Barrier(4)

    def use(n: int) -> None:
        with shared as step:
            barrier.wait()
            step.set("n", n)
            barrier.wait()
        assert _current() == ""

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert sorted(span.attributes["n"] for span in spans.all()) == [0, 1, 2, 3]
    assert (
        len({tick for s in spans.all() for tick in (s.attributes["driftline.seq"], s.attributes["driftline.seq.end"])})
        == 8
    )


def test_left_in_another_context(spans: Recorded) -> None:
    """A block entered in one context and left in another (as fixtures do) ends quietly, and restores nothing wrong."""
    operation = driftline.step("s")
    context = contextvars.copy_context()
    context.run(operation.__enter__)
    operation.__exit__(None, None, None)
    assert spans.names == ["step s"]
    assert _current() == ""


def test_a_task_outlives_the_block_that_began_it(spans: Recorded) -> None:
    """It keeps the parent it was begun under, whose span ended before."""

    async def late() -> None:
        await asyncio.sleep(0.01)
        with driftline.tool("late"):
            pass

    async def main() -> None:
        async with driftline.run("r", id="r"):
            task = asyncio.create_task(late())
        await task

    asyncio.run(main())
    assert spans.names == ["invoke_workflow r", "execute_tool late"]
    assert _parents(spans)["execute_tool late"] == "invoke_workflow r"
    assert spans.said("execute_tool late")["driftline.run.id"] == "r"


def test_cancelled_tasks(spans: Recorded) -> None:
    """Cancellation ends the span, says what happened, and goes on to whoever awaits."""

    @driftline.tool(effect="write")
    async def slow() -> None:
        await asyncio.sleep(10)

    async def main() -> Any:
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()
        return (await asyncio.gather(task, return_exceptions=True))[0]

    assert isinstance(asyncio.run(main()), asyncio.CancelledError)
    said = spans.said("execute_tool slow")
    assert (said["error.type"], said["driftline.effect.outcome"]) == ("CancelledError", "unknown")
