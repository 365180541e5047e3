"""The logical clock: it ticks by exactly 1 at every start and every end, in the whole process, whatever happens."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from recorded_spans import Recorded

import driftline
from driftline import _process
from driftline._settings import settings

SEQ, END = "driftline.seq", "driftline.seq.end"


@pytest.fixture(autouse=True)
def from_one() -> None:
    """Each test is a process that has just begun."""
    _process.set_for_testing("instance")


def _ticks(spans: Recorded) -> list[int]:
    return sorted(tick for span in spans.all() for tick in (span.attributes[SEQ], span.attributes[END]))


def test_nested_spans_tick_in_program_order(spans: Recorded) -> None:
    """Starts and ends are numbered as the program makes them."""
    with driftline.run("r"):
        with driftline.agent("a"), driftline.tool("t"):
            pass
        with driftline.step("s"):
            pass
    said = {span.name: (span.attributes[SEQ], span.attributes[END]) for span in spans.all()}
    assert said == {
        "invoke_workflow r": (1, 8),
        "invoke_agent a": (2, 5),
        "execute_tool t": (3, 4),
        "step s": (6, 7),
    }


def test_every_concept_ticks(spans: Recorded) -> None:
    """No kind of span is left out of the clock."""
    everything: list[Any] = [
        driftline.run("x"), driftline.agent("x"), driftline.step("x"), driftline.tool("x"), driftline.llm("x"),
        driftline.retrieval("x"), driftline.validation("x"), driftline.send("x"), driftline.receive("x", {}),
        driftline.memory.read("x", "k"), driftline.memory.write("x", "k"), driftline.memory.delete("x", "k"),
        driftline.memory.search("x"),
    ]  # fmt: skip
    for operation in everything:
        with operation:
            pass
    assert list(range(1, 2 * len(everything) + 1)) == _ticks(spans)


def test_threads_share_one_clock(spans: Recorded) -> None:
    """Many threads at once: every number is given exactly once, and no one is left out."""

    @driftline.tool
    def act(n: int) -> int:
        return n

    threads = [threading.Thread(target=lambda: [act(n) for n in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(range(1, 801)) == _ticks(spans)


def test_failures_tick_too(spans: Recorded) -> None:
    """An operation that raises ends like any other."""
    with pytest.raises(ZeroDivisionError), driftline.tool("t"):
        1 / 0  # noqa: B018
    assert _ticks(spans) == [1, 2]


def test_a_pending_copy_does_not_tick(spans: Recorded) -> None:
    """It is a copy of a start that has ticked already, and has no end."""
    with driftline.run("r"):
        copies = [span for span in spans.all(pending=True) if span.attributes.get("driftline.pending")]
        with driftline.tool("t"):
            pass
    assert len(copies) == 1
    assert copies[0].attributes[SEQ] == 1
    assert END not in copies[0].attributes
    assert _ticks(spans) == [1, 2, 3, 4]


def test_unsampled_spans_leave_a_gap() -> None:
    """What was not sampled ticked all the same, so that the record shows that something is missing."""
    exporter = InMemorySpanExporter()
    driftline.init("t", tracer_provider=TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False), exporter=exporter)
    with driftline.tool("unseen"):
        pass
    driftline.shutdown()
    driftline.init("t", tracer_provider=TracerProvider(shutdown_on_exit=False), exporter=exporter)
    with driftline.tool("seen"):
        pass
    driftline.flush()
    (span,) = exporter.get_finished_spans()
    assert (span.attributes[SEQ], span.attributes[END]) == (3, 4)


def test_switched_off_midway_a_span_still_ends(spans: Recorded) -> None:
    """What has begun is ended and counted; what begins while switched off neither ticks nor exists."""
    with driftline.step("before"):
        driftline.init(enabled=False)
        with driftline.step("unseen"):
            pass
    settings.enabled = True
    with driftline.step("after"):
        pass
    assert spans.names == ["step before", "step after"]
    assert _ticks(spans) == [1, 2, 3, 4]


def test_switched_on_midway_only_later_spans_count(spans: Recorded) -> None:
    """What began while switched off has no end to count."""
    settings.enabled = False
    with driftline.step("unseen") as unseen:
        settings.enabled = True
        with driftline.step("seen"):
            pass
        unseen.set("anything", 1)
    assert _ticks(spans) == [1, 2]


class _Breaking(SpanProcessor):
    """A processor of the program's that fails at the start of a span."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("not mine")


@pytest.mark.usefixtures("in_production")
def test_a_span_that_could_not_begin_is_a_gap_of_one() -> None:
    """When starting fails the tick is given, so the lost span shows; its end, which never comes, is not."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    driftline.init("t", tracer_provider=provider, exporter=exporter)
    with driftline.step("one"):
        pass
    broken = TracerProvider(shutdown_on_exit=False)
    broken.add_span_processor(_Breaking())
    settings.tracer = broken.get_tracer("broken")
    with driftline.step("lost"):
        pass
    settings.tracer = None
    with driftline.step("two"):
        pass
    driftline.flush()
    assert [(s.attributes[SEQ], s.attributes[END]) for s in exporter.get_finished_spans()] == [(1, 2), (4, 5)]


def test_without_init_nothing_breaks() -> None:
    """With no provider at all spans go nowhere, and the clock ticks on."""
    with driftline.step("s"):
        pass
    assert _process.tick() == 3
