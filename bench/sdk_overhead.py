"""What tracing a tool call costs, against OpenTelemetry's own `start_as_current_span` with as many attributes.

    python bench/sdk_overhead.py [--quick]

Both sides run in the same process and the same minute, alternating round by round, over batch processors whose
exporters throw everything away; a ratio is the median over rounds of ours / theirs. Time is processor time of the whole
process, the thread that exports included, until the last span of the round has been handed over: what a busy machine
adds is left out, what is put off is not. Absolute times depend on the machine, ratios hardly. Import time is processor
time of fresh interpreters, against importing `opentelemetry.sdk.trace`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import driftline

Work = Callable[[int], None]


class Nowhere(SpanExporter):
    """Takes every batch and does nothing with it."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is open."""


def make_theirs() -> tuple[Callable[..., bool], Callable[..., Any], Callable[[], bool]]:
    """A function, and a coroutine function, traced by hand with 12 attributes; and how to flush."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=8192))
    tracer = provider.get_tracer("bench")

    def attributes(order: str, cents: int) -> dict[str, Any]:
        return {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "refund",
            "app.run.id": "run-1",
            "gen_ai.agent.name": "clerk",
            "app.effect": "write",
            "app.idempotent": False,
            "app.order": order,
            "app.cents": cents,
            "app.outcome": "applied",
            "code.file.path": __file__,
            "code.line.number": 1,
            "code.function.name": "refund",
        }

    def refund(order: str, cents: int) -> bool:
        with tracer.start_as_current_span("execute_tool refund", attributes=attributes(order, cents)):
            return True

    async def arefund(order: str, cents: int) -> bool:
        with tracer.start_as_current_span("execute_tool refund", attributes=attributes(order, cents)):
            return True

    return refund, arefund, provider.force_flush


def make_ours() -> tuple[Callable[..., bool], Callable[..., Any], Callable[[], bool]]:
    """The same functions as tools of driftline: 15 attributes, among them digests of arguments and result."""

    @driftline.tool(effect="write", idempotent=False)
    def refund(order: str, cents: int) -> bool:  # noqa: ARG001
        return True

    @driftline.tool(effect="write", idempotent=False)
    async def arefund(order: str, cents: int) -> bool:  # noqa: ARG001
        return True

    return refund, arefund, driftline.flush


def bare(order: str, cents: int) -> bool:  # noqa: ARG001
    """What is traced, untraced."""
    return True


def one_after_the_other(call: Callable[..., bool], flush: Callable[[], bool] = bool) -> Work:
    """Calls in a loop, and their spans handed over."""

    def work(count: int) -> None:
        for n in range(count):
            call("991", n)
        flush()

    return work


def in_threads(call: Callable[..., bool], flush: Callable[[], bool], threads: int = 8) -> Work:
    """The same number of calls, shared by threads."""

    def work(count: int) -> None:
        parts = [threading.Thread(target=one_after_the_other(call), args=(count // threads,)) for _ in range(threads)]
        for part in parts:
            part.start()
        for part in parts:
            part.join()
        flush()

    return work


def in_tasks(call: Callable[..., Any], flush: Callable[[], bool], tasks: int = 8) -> Work:
    """The same number of calls, shared by tasks of one event loop."""

    async def several(count: int) -> None:
        for n in range(count):
            await call("991", n)

    async def main(count: int) -> None:
        await asyncio.gather(*(several(count // tasks) for _ in range(tasks)))

    def work(count: int) -> None:
        asyncio.run(main(count))
        flush()

    return work


def microseconds(work: Work, count: int) -> float:
    """The processor time of one call, out of *count*."""
    began = time.process_time()
    work(count)
    return (time.process_time() - began) / count * 1e6


def alternate(ours: Work, theirs: Work, rounds: int, count: int) -> tuple[float, float, float]:
    """Medians of ours, of theirs, and of their ratio round by round; who begins changes each time."""
    pairs = []
    for turn in range(rounds):
        if turn % 2:
            mine = microseconds(ours, count)
            other = microseconds(theirs, count)
        else:
            other = microseconds(theirs, count)
            mine = microseconds(ours, count)
        pairs.append((mine, other))
    mines, others = zip(*pairs, strict=True)
    return statistics.median(mines), statistics.median(others), statistics.median(m / o for m, o in pairs)


def import_seconds(statement: str, rounds: int) -> float:
    """The median processor time of *statement* in a fresh interpreter, beyond an empty one; compiled before."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def spent() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    def once(code: str) -> float:
        began = spent()
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        return spent() - began

    with tempfile.TemporaryDirectory() as folder:
        environment["PYTHONPYCACHEPREFIX"] = folder
        once(statement)
        return statistics.median(once(statement) - once("pass") for _ in range(rounds))


def show(name: str, figures: tuple[float, float, float]) -> None:
    """One line of the table."""
    print(f"{name:<34}{figures[0]:>9.1f}{figures[1]:>12.1f}{figures[2]:>9.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a few seconds, coarse figures")
    quick = parser.parse_args().quick
    rounds, count = (7, 1000) if quick else (41, 4000)

    driftline.init("bench", exporter=Nowhere())
    ours, ours_async, our_flush = make_ours()
    theirs, theirs_async, their_flush = make_theirs()
    mine, others = one_after_the_other(ours, our_flush), one_after_the_other(theirs, their_flush)
    with driftline.run("bench"), driftline.agent("clerk"):
        mine(count)
        others(count)
        print(f"{'microseconds a call':<34}{'driftline':>9}{'by hand':>12}{'ratio':>9}")
        show("tool call", alternate(mine, others, rounds, count))
        show("8 threads", alternate(in_threads(ours, our_flush), in_threads(theirs, their_flush), rounds, count))
        show("8 tasks", alternate(in_tasks(ours_async, our_flush), in_tasks(theirs_async, their_flush), rounds, count))
    driftline.init(enabled=False)
    show("switched off", alternate(mine, others, rounds, count))
    show("not decorated at all", alternate(one_after_the_other(bare), others, rounds, count))

    few = 5 if quick else 21
    ours_ms = import_seconds("import driftline", few) * 1000
    theirs_ms = import_seconds("import opentelemetry.sdk.trace", few) * 1000
    print(f"\n{'milliseconds to import':<34}{'driftline':>9}{'otel sdk':>12}{'ratio':>9}")
    show("import", (ours_ms, theirs_ms, ours_ms / theirs_ms))


if __name__ == "__main__":
    main()
