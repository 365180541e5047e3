"""Spans made directly are the spans the public API makes: for every program, limit and processor, to the last byte."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import span_programs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

import driftline
from driftline import _batch, _direct, _direct_known, _process, _quick
from driftline._settings import settings

_MAKE = _direct.DirectTracer.make
_OUR_LINE = re.compile(r'(/sdk/_\w+\.py|/driftline/_\w+\.py)", line \d+, in \w+\n.*\n(?:    [ ^~]+\n)?')


class Meddling(SpanProcessor):
    """Does to spans whatever a processor may do."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.seen.append(("start", span.name, dict(span.attributes), span.kind, len(parent_context or {})))
        span.set_attribute("meddled", True)
        if "e" in span.name:
            span.add_event("met")

    def on_end(self, span: ReadableSpan) -> None:
        try:
            span._attributes["late"] = 1  # type: ignore[index]
        except TypeError:  # not all versions of the SDK freeze what has ended
            self.seen.append("frozen")
        self.seen.append(("end", _told(span), type(span).__name__, type(span.attributes).__name__))
        span._name += "!"  # a copy: nobody but other processors sees it


class Tidying(Meddling):
    """Also looks at spans between their end and what follows from it."""

    def _on_ending(self, span: Any) -> None:
        self.seen.append(("ending", span.name, span.end_time, dict(span.attributes)))


def _nobody(_: TracerProvider) -> None: ...


def _simple(provider: TracerProvider) -> None:
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))


def _batching(provider: TracerProvider) -> None:
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))


def _meddling(provider: TracerProvider) -> None:
    provider.add_span_processor(Meddling())


def _tidying(provider: TracerProvider) -> None:
    provider.add_span_processor(Tidying())


def _tight(**limits: int) -> dict[str, Any]:
    return {"span_limits": SpanLimits(**limits)}


BESIDE = (_nobody, _simple, _batching, _meddling, _tidying)
PROVIDERS: dict[str, Callable[[], dict[str, Any]]] = {
    "usual": dict,
    "its own resource": lambda: {"resource": Resource({"service.name": "theirs"}, "https://schema")},
    "everything sampled": lambda: {"sampler": ALWAYS_ON},
    "few events and links": lambda: _tight(max_events=2, max_links=1, max_event_attributes=3, max_span_attributes=70),
    "few attributes": lambda: _tight(max_span_attributes=5),
    "no limits": lambda: _tight(max_span_attributes=SpanLimits.UNSET, max_events=SpanLimits.UNSET),
    "short texts": lambda: _tight(max_span_attribute_length=7),
}


@pytest.fixture(autouse=True)
def production(in_production: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that counts its readings, wherever it is read; spans are sent when the program says so, never before."""
    monkeypatch.setattr(_batch, "_DELAY", 60)
    for module in (sdk, _direct, _quick):
        monkeypatch.setattr(module, "time_ns", lambda: next(_clock))


_clock = itertools.count(1)


def _told(span: ReadableSpan) -> dict[str, Any]:
    """All that a span says, in the order it says it."""
    return {
        "name": span.name,
        "context": tuple(span.context or ()),
        "state": span.context and list(span.context.trace_state.items()),
        "parent": span.parent and tuple(span.parent),
        "kind": span.kind,
        "times": (span.start_time, span.end_time),
        "status": (span.status.status_code, span.status.description),
        "attributes": [(key, type(value), value) for key, value in (span.attributes or {}).items()],
        "events": [
            (event.name, event.timestamp, _unplaced(dict(event.attributes or {})), event.dropped_attributes)
            for event in span.events
        ],
        "links": [(tuple(link.context), dict(link.attributes or {})) for link in span.links],
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "resource": (dict(span.resource.attributes), span.resource.schema_url),
        "scope": span.instrumentation_scope,
        "json": _OUR_LINE.sub("", span.to_json().replace("\\n", "\n").replace('\\"', '"')),
    }


def _unplaced(attributes: dict[str, Any]) -> dict[str, Any]:
    """*attributes* of an exception without the lines of ours it came through."""
    return {key: _OUR_LINE.sub("", value) if type(value) is str else value for key, value in attributes.items()}


def _recorded(
    program: span_programs.Program, provider: TracerProvider, beside: Callable[[TracerProvider], None]
) -> tuple[list[ReadableSpan], list[Any]]:
    """What *program* makes of spans, and what the processor beside ours has seen, from the same beginnings."""
    global _clock  # noqa: PLW0603 - of a process that begins anew
    _process.set_for_testing("instance")
    exporter = InMemorySpanExporter()
    beside(provider)
    driftline.init("tests", tracer_provider=provider, exporter=exporter)
    settings.get_direct()  # which tries the SDK out, and reads the clock for that
    settings.variant = ""
    _clock = itertools.count(1_700_000_000_000_000_000, 1000)
    random.seed(4)
    try:
        program(provider.get_tracer("own"))
    finally:
        driftline.shutdown()
        settings.capture = "digests"
    processors = provider._active_span_processor._span_processors
    return list(exporter.get_finished_spans()), [seen for one in processors for seen in getattr(one, "seen", ())]


@pytest.fixture
def how(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], list[int]]:
    """Switches the direct way off, and counts the spans that were made in it."""

    def choose(direct: bool) -> list[int]:
        made = [0]

        def counted(self: _direct.DirectTracer, *args: Any) -> Any:
            made[0] += 1
            return _MAKE(self, *args)

        monkeypatch.setattr(_direct.DirectTracer, "make", counted)
        monkeypatch.setattr(_direct_known, "direct_tracer", _direct_known._recognised if direct else lambda _: None)
        return made

    return choose


@pytest.mark.parametrize("beside", BESIDE, ids=lambda beside: beside.__name__.strip("_"))
@pytest.mark.parametrize("name", span_programs.PROGRAMS)
def test_programs(name: str, beside: Callable[[TracerProvider], None], how: Callable[[bool], list[int]]) -> None:
    """Every program, alone and beside processors that only export, that meddle, and that tidy up."""
    _compare(name, "usual", beside, how, some=True)


@pytest.mark.parametrize("settings_of", [name for name in PROVIDERS if name != "usual"])
@pytest.mark.parametrize(
    "name", ["said_by_the_program", "blocks", "limits", "scopes", "failures", "calls_of_all_shapes"]
)
def test_providers(name: str, settings_of: str, how: Callable[[bool], list[int]]) -> None:
    """Every kind of provider, whether its spans can be made directly or not."""
    _compare(name, settings_of, _meddling, how, some=settings_of not in ("few attributes", "short texts"))


def _compare(name: str, provider: str, beside: Any, how: Callable[[bool], list[int]], *, some: bool) -> None:
    made = how(True)
    ours, our_meddling = _recorded(span_programs.PROGRAMS[name], _provider(provider), beside)
    assert (made[0] > 0) == some
    made = how(False)
    theirs, their_meddling = _recorded(span_programs.PROGRAMS[name], _provider(provider), beside)
    assert made == [0]
    assert [span.name for span in ours] == [span.name for span in theirs]
    for our, their in zip(map(_told, ours), map(_told, theirs), strict=True):
        assert [] == [(key, our[key], their[key]) for key in our if our[key] != their[key]]
    assert our_meddling == their_meddling
    assert len(ours) > 1
    assert _encoded(ours) == _encoded(theirs)


def _encoded(spans: list[ReadableSpan]) -> str:
    """What goes over the wire."""
    return _OUR_LINE.sub("", str(encode_spans(spans)).replace("\\n", "\n").replace('\\"', '"'))


def _provider(name: str) -> TracerProvider:
    return TracerProvider(shutdown_on_exit=False, **PROVIDERS[name]())
