"""What tracing a tool call costs, against OpenTelemetry's own `start_as_current_span` with 12 attributes.

    python bench/sdk_overhead.py [--quick] [--rivals]

Both sides run in the same process and the same minute, alternating round by round, over batch processors whose
exporters read every attribute of every span, as any exporter must, and throw it away (in the line `sent as OTLP`:
encode it). A ratio is the median over rounds of ours / theirs. Time is processor time, so that what a busy machine adds
is left out: `all` is of the whole process, the thread that exports included, until the last span of the round has been
handed over, so that what is put off is not left out; `caller` is of the threads that make the calls alone. Absolute
times depend on the machine, ratios hardly. Import time is processor time of fresh interpreters.

`--rivals` measures the tool decorators of other tracing libraries in the same way, each in an environment of its own
that is made for it and thrown away (see `rivals.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import driftline

Flush = Callable[[], object]
Call = Callable[..., Any]


class Cost(NamedTuple):
    """Processor time of one call in microseconds."""

    all: float
    caller: float


Work = Callable[[int], Cost]


class Reading(SpanExporter):
    """Reads every span, and forgets it."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            read = span.name, span.kind, span.status, span.parent, span.context, span.resource, span.events, span.links
            for key, value in (span.attributes or {}).items():
                read = key, value  # type: ignore[assignment]
            del read
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is open."""


class Encoding(Reading):
    """Encodes every batch as OTLP, and sends it nowhere."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


class Traced(NamedTuple):
    """The same work traced in one way, and how to hand over what has ended."""

    plain: Call
    coroutine: Call
    changeable: Call
    block: Call
    flush: Flush


def by_hand(exporter: SpanExporter) -> Traced:
    """With OpenTelemetry alone: 12 attributes."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=8192))
    tracer = provider.get_tracer("bench")

    def attributes(order: Any, cents: int) -> dict[str, Any]:
        return {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "refund",
            "app.run.id": "run-1",
            "gen_ai.agent.name": "clerk",
            "app.effect": "write",
            "app.idempotent": False,
            "app.order": str(order),
            "app.cents": cents,
            "app.outcome": "applied",
            "code.file.path": __file__,
            "code.line.number": 1,
            "code.function.name": "refund",
        }

    def refund(order: Any, cents: int) -> str:
        with tracer.start_as_current_span("execute_tool refund", attributes=attributes(order, cents)):
            return f"refunded {cents}"

    async def arefund(order: str, cents: int) -> str:
        with tracer.start_as_current_span("execute_tool refund", attributes=attributes(order, cents)):
            return f"refunded {cents}"

    return Traced(refund, arefund, refund, refund, provider.force_flush)


def by_driftline() -> Traced:
    """As tools of driftline: 15 attributes, among them digests of arguments and result."""

    @driftline.tool(effect="write", idempotent=False)
    def refund(order: Any, cents: int) -> str:  # noqa: ARG001
        return f"refunded {cents}"

    @driftline.tool(effect="write", idempotent=False)
    async def arefund(order: str, cents: int) -> str:  # noqa: ARG001
        return f"refunded {cents}"

    def block(order: str, cents: int) -> str:
        with driftline.tool("refund", effect="write", idempotent=False) as call:
            call.arguments({"order": order, "cents": cents})
            return f"refunded {cents}"

    return Traced(refund, arefund, refund, block, driftline.flush)


def bare(order: str, cents: int) -> str:  # noqa: ARG001
    """What is traced, untraced."""
    return f"refunded {cents}"


def nothing() -> None:
    """Hands over what there is not."""


def measured(count: int, calls: Callable[[], float], flush: Flush) -> Cost:
    """The cost of one out of *count* *calls*, which return the processor time of those who make them."""
    gc.collect()
    began = time.process_time()
    callers = calls()
    flush()
    return Cost((time.process_time() - began) / count * 1e6, callers / count * 1e6)


def loop(call: Call, count: int, order: Any = "991") -> float:
    """*count* calls; the processor time of this thread."""
    began = time.thread_time()
    for n in range(count):
        call(order, n)
    return time.thread_time() - began


def one_after_the_other(call: Call, flush: Flush = nothing, order: Any = "991") -> Work:
    """Calls in a loop."""
    return lambda count: measured(count, lambda: loop(call, count, order), flush)


def in_threads(call: Call, flush: Flush, threads: int = 8) -> Work:
    """The same number of calls, shared by threads."""

    def calls(count: int) -> float:
        spent: list[float] = []
        parts = [threading.Thread(target=lambda: spent.append(loop(call, count // threads))) for _ in range(threads)]
        for part in parts:
            part.start()
        for part in parts:
            part.join()
        return sum(spent)

    return lambda count: measured(count, lambda: calls(count), flush)


def in_tasks(call: Call, flush: Flush, tasks: int = 8) -> Work:
    """The same number of calls, shared by tasks of one event loop."""

    async def several(count: int) -> None:
        for n in range(count):
            await call("991", n)

    async def main(count: int) -> None:
        await asyncio.gather(*(several(count // tasks) for _ in range(tasks)))

    def calls(count: int) -> float:
        began = time.thread_time()
        asyncio.run(main(count))
        return time.thread_time() - began

    return lambda count: measured(count, lambda: calls(count), flush)


def compare(name: str, ours: Work, theirs: Work, rounds: int, count: int) -> None:
    """Print medians of both and of their ratio round by round; who begins changes each time."""
    pairs = []
    for turn in range(rounds):
        if turn % 2:
            mine = ours(count)
            other = theirs(count)
        else:
            other = theirs(count)
            mine = ours(count)
        pairs.append((mine, other))
    cells = []
    for of in ("all", "caller"):
        both = [(getattr(mine, of), getattr(other, of)) for mine, other in pairs]
        cells += [statistics.median(m for m, _ in both), statistics.median(o for _, o in both)]
        cells.append(statistics.median(m / o for m, o in both))
    print(f"{name:<32}" + "".join(f"{cell:>11.{2 if place % 3 == 2 else 1}f}" for place, cell in enumerate(cells)))


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


def calls(rounds: int, count: int) -> None:
    """The table of calls."""
    driftline.init("bench", exporter=Reading())
    ours, theirs = by_driftline(), by_hand(Reading())
    heads = ("driftline", "by hand", "ratio") * 2
    print(f"{'microseconds a call':<32}{'all':>33}{'caller':>33}")
    print(f"{'':<32}" + "".join(f"{head:>11}" for head in heads))
    raw = one_after_the_other(theirs.plain, theirs.flush)

    def of_ours(call: Call, order: Any = "991") -> Work:
        return one_after_the_other(call, ours.flush, order)

    with driftline.run("bench"), driftline.agent("clerk"):
        of_ours(ours.plain)(count)
        raw(count)
        compare("tool call", of_ours(ours.plain), raw, rounds, count)
        mine, other = in_threads(ours.plain, ours.flush), in_threads(theirs.plain, theirs.flush)
        compare("8 threads", mine, other, rounds, count)
        mine, other = in_tasks(ours.coroutine, ours.flush), in_tasks(theirs.coroutine, theirs.flush)
        compare("8 tasks", mine, other, rounds, count)
        order = {"id": "991", "lines": [1, 2, 3]}
        other = one_after_the_other(theirs.changeable, theirs.flush, order)
        compare("arguments that may change", of_ours(ours.changeable, order), other, rounds, count)
        compare("as a block, arguments said", of_ours(ours.block), raw, rounds, count)
    driftline.shutdown()
    driftline.init("bench", exporter=Encoding())
    with driftline.run("bench"), driftline.agent("clerk"):
        encoded = by_hand(Encoding())
        mine, other = of_ours(ours.plain), one_after_the_other(encoded.plain, encoded.flush)
        compare("sent as OTLP", mine, other, rounds, count)
    driftline.init(enabled=False)
    compare("switched off", one_after_the_other(ours.plain), raw, rounds, count)
    compare("not decorated at all", one_after_the_other(bare), raw, rounds, count)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a few seconds, coarse figures")
    parser.add_argument("--rivals", action="store_true", help="also other libraries, installed for this; minutes")
    asked = parser.parse_args()
    rounds, count = (7, 1000) if asked.quick else (41, 4000)
    calls(rounds, count)
    few = 5 if asked.quick else 21
    ours = import_seconds("import driftline", few) * 1000
    theirs = import_seconds("import opentelemetry.sdk.trace", few) * 1000
    print(f"\n{'milliseconds to import':<32}{'driftline':>11}{'otel sdk':>11}{'ratio':>11}")
    print(f"{'import':<32}{ours:>11.1f}{theirs:>11.1f}{ours / theirs:>11.2f}")
    if asked.rivals:
        import rivals

        rivals.main(rounds, count)


if __name__ == "__main__":
    main()
