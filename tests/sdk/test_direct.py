"""Spans made directly: where they are, where they are not, and that nobody can tell the difference."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased
from recorded_spans import Recorded

import driftline
from driftline import _direct_known
from driftline._direct_span import DirectSpan
from driftline._settings import settings


@driftline.tool(effect="write")
def act(value: Any = None) -> Any:
    return value


class Counting(RandomIdGenerator):
    """Ids of one's own."""

    def generate_span_id(self) -> int:
        return 77


class Several(sdk.SynchronousMultiSpanProcessor):
    """Processors called in another way."""


def _tracer(**how: Any) -> trace.Tracer:
    return TracerProvider(shutdown_on_exit=False, **how).get_tracer("t")


UNKNOWN: dict[str, Callable[[], Any]] = {
    "no SDK": trace.NoOpTracer,
    "a sampler that chooses": lambda: _tracer(sampler=TraceIdRatioBased(0.5)),
    "a sampler that chooses roots": lambda: _tracer(sampler=ParentBased(TraceIdRatioBased(0.5))),
    "a sampler that takes nothing": lambda: _tracer(sampler=ALWAYS_OFF),
    "a sampler for remote parents": lambda: _tracer(sampler=ParentBased(ALWAYS_ON, remote_parent_sampled=ALWAYS_OFF)),
    "ids of its own": lambda: _tracer(id_generator=Counting()),
    "processors in parallel": lambda: _tracer(active_span_processor=sdk.ConcurrentMultiSpanProcessor()),
    "processors of its own": lambda: _tracer(active_span_processor=Several()),
    "texts cut": lambda: _tracer(span_limits=SpanLimits(max_span_attribute_length=100)),
    "few attributes": lambda: _tracer(span_limits=SpanLimits(max_span_attributes=63)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_the_public_api_takes_over(name: str) -> None:
    """Whatever is not exactly as known is left to the SDK."""
    assert _direct_known.direct_tracer(UNKNOWN[name]()) is None
    assert _direct_known.direct_tracer(_tracer()) is not None


PATCHED = (
    (sdk.Span, "end"),
    (sdk.Span, "set_attributes"),
    (sdk.ReadableSpan, "__init__"),
    (sdk.Tracer, "start_span"),
    (sdk.SynchronousMultiSpanProcessor, "on_end"),
    (RandomIdGenerator, "generate_trace_id"),
    (ParentBased, "should_sample"),
)


@pytest.mark.parametrize(("owner", "name"), PATCHED, ids=lambda part: getattr(part, "__name__", part))
def test_methods_somebody_has_replaced(owner: type, name: str) -> None:
    """A tool that patches the SDK must see our spans, too."""
    with mock.patch.object(owner, name, lambda *_args, **_kwargs: None):
        assert _direct_known.direct_tracer(_tracer()) is None


def test_an_sdk_with_other_insides() -> None:
    """A field we do not know could mean anything."""

    class Other(sdk._Span):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._unheard_of = 1

    with mock.patch.object(sdk, "_Span", Other):
        assert _direct_known.direct_tracer(_tracer()) is None


def test_another_runtime_context() -> None:
    """Context may be kept in another way."""

    class Other(type(otel_context._RUNTIME_CONTEXT)):  # type: ignore[misc]
        pass

    with mock.patch.object(otel_context, "_RUNTIME_CONTEXT", Other()):
        assert _direct_known.direct_tracer(_tracer()) is None


class _Noting(SpanProcessor):
    def __init__(self) -> None:
        self.names: list[str] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.names.append(f"start {type(span).__name__}")

    def on_end(self, span: ReadableSpan) -> None:
        self.names.append(f"end {type(span).__name__}")


def test_what_changes_between_two_calls(spans: Recorded) -> None:
    """A processor that is added, a sampler that is put in, a switch that is turned: the next span obeys."""
    act(1)
    assert settings.exporting is not None
    provider = settings.exporting.provider
    noting = _Noting()
    provider.add_span_processor(noting)
    act(2)
    assert noting.names == ["start _Span", "end ReadableSpan"]
    tracer: Any = settings.tracer
    kept, tracer.sampler = tracer.sampler, ALWAYS_OFF
    act(3)
    tracer.sampler = kept
    act(4)
    results = [span.attributes["driftline.seq"] for span in spans.all() if span.attributes]
    assert len(results) == 3
    assert results[2] - results[1] == 4, "what was not sampled ticked all the same"


def test_digests_are_made_when_they_are_read(spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before, where nothing can change any more; at once, where something can."""
    ended: list[Any] = []
    monkeypatch.setattr(settings.get_direct(), "_end", ended.append)
    changing = {"a": 1}
    act("x")
    act(changing)
    changing["a"] = 2
    settled, changed = ended
    assert isinstance(settled, DirectSpan)
    assert settled._built is None
    assert settled.attributes["driftline.call.args_digest"] == driftline.canonical.digest({"value": "x"})
    for which in ("args_digest", "result_digest"):
        value = {"value": {"a": 1}} if which == "args_digest" else {"a": 1}
        assert changed.attributes[f"driftline.call.{which}"] == driftline.canonical.digest(value)


def test_what_was_given_is_not_kept_alive(spans: Recorded) -> None:
    """Neither the object a method belongs to nor a large argument waits in the queue with its span."""

    class Desk:
        @driftline.tool
        def close(self, ticket: str, note: str) -> str:
            return ticket + note

    desk = Desk()
    gone = weakref.ref(desk)
    waiting: list[Any] = []
    with mock.patch.object(settings.get_direct(), "_end", waiting.append):
        desk.close("T-1", "x" * 5000)
    del desk
    gc.collect()
    assert gone() is None
    assert not any("x" * 5000 in str(value) for value in vars(waiting[0]).values())


def test_attributes_read_while_the_span_is_live(spans: Recorded) -> None:
    """They are what they are so far, can be added to, and the end still adds its own."""

    @driftline.tool(effect="write")
    def reads() -> str:
        span: Any = trace.get_current_span()
        assert span.attributes["gen_ai.tool.name"] == "reads"
        assert "driftline.seq.end" not in span.attributes
        span.set_attribute("mine", 1)
        return "done"

    reads()
    said = spans.said("execute_tool reads")
    assert list(said)[-4:] == [
        "mine", "driftline.call.result_digest", "driftline.effect.outcome", "driftline.seq.end",
    ]  # fmt: skip


def test_ended_spans_can_be_copied(spans: Recorded) -> None:
    """As far as the SDK's own can."""
    act("x")
    (span,) = spans.all()
    assert type(copy.copy(span)) is ReadableSpan
    assert copy.copy(span).to_json() == span.to_json()


def test_readers_at_every_moment(spans: Recorded) -> None:
    """However a reader in another thread and the end fall together, nothing of the end is lost."""
    seen: list[Any] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            for span in seen[-3:]:
                dict(span.attributes)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()

    @driftline.tool(effect="write")
    def shown(n: int) -> int:
        seen.append(trace.get_current_span())
        return n

    for n in range(2000):
        shown(n)
    stop.set()
    for reader in readers:
        reader.join()
    late = {"driftline.call.result_digest", "driftline.effect.outcome", "driftline.seq.end"}
    assert [] == [span for span in spans.all() if not late <= (span.attributes or {}).keys()]
    assert len(seen) == 2000


def test_many_scopes_at_once(spans: Recorded) -> None:
    """Threads in runs and agents of their own: each span says its own."""

    def work(n: int) -> None:
        with driftline.run("r", id=f"r-{n}"):
            for _ in range(20):
                with driftline.agent(f"a-{n}"):
                    act(n)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = [span.attributes or {} for span in spans.all() if span.name == "execute_tool act"]
    expected = {n: driftline.canonical.digest({"value": n}) for n in range(12)}
    assert len(found) == 240
    for said in found:
        n = int(str(said["driftline.run.id"]).removeprefix("r-"))
        assert said["gen_ai.agent.name"] == f"a-{n}"
        assert said["driftline.call.args_digest"] == expected[n]


def test_a_processor_that_fails(in_production: None) -> None:
    """At the start it costs the span, at the end nothing but itself; the program runs on."""

    class Failing(SpanProcessor):
        def __init__(self, moment: str) -> None:
            setattr(self, moment, self.fail)

        def fail(self, *_args: Any, **_kwargs: Any) -> None:
            raise RuntimeError("not mine")

    for moment, count in (("on_start", 0), ("on_end", 0)):
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = InMemorySpanExporter()
        provider.add_span_processor(Failing(moment))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        driftline.init(tracer_provider=provider, exporter=InMemorySpanExporter())
        assert act(3) == 3
        assert len(exporter.get_finished_spans()) == count
        assert trace.get_current_span() is trace.INVALID_SPAN
        driftline.shutdown()
