"""How a traced call is measured, and the call traced by hand to compare with. Needs nothing but OpenTelemetry."""

from __future__ import annotations

import asyncio
import gc
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

Flush = Callable[[], object]
Call = Callable[..., Any]


class Cost(NamedTuple):
    """Processor time of one call in microseconds."""

    all: float
    caller: float


Work = Callable[[int], Cost]


class Reading(SpanExporter):
    """Reads every span, and forgets it."""

    read = 0
    """How many, by all of them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            Reading.read += 1
            said = span.name, span.kind, span.status, span.parent, span.context, span.resource, span.events, span.links
            for key, value in (span.attributes or {}).items():
                said = key, value  # type: ignore[assignment]
            del said
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


def alternate(ours: Work, theirs: Work, rounds: int, count: int) -> list[float]:
    """Medians of ours, of theirs, and of their ratio round by round, in all and of callers; who begins changes."""
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
    return cells


def show(name: str, cells: list[float]) -> None:
    """One line of the table."""
    print(f"{name:<32}" + "".join(f"{cell:>11.{2 if place % 3 == 2 else 1}f}" for place, cell in enumerate(cells)))


def head(of: str) -> None:
    """The head of the table."""
    print(f"{'microseconds a call':<32}{'all':>33}{'caller':>33}")
    print(f"{'':<32}" + "".join(f"{name:>11}" for name in (of, "by hand", "ratio") * 2))
