"""A program's own OpenTelemetry: added to, never replaced, and what it says of itself is kept."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as logs_export
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from recorded_spans import Program

import driftline
from driftline import _process
from driftline._settings import settings


def _both(provider: TracerProvider, **how: Any) -> tuple[InMemorySpanExporter, InMemorySpanExporter]:
    """The program's exporter and ours, on one provider."""
    theirs, ours = InMemorySpanExporter(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    driftline.init(tracer_provider=provider, exporter=ours, **how)
    return theirs, ours


def test_both_exporters_see_both_kinds_of_spans() -> None:
    """The program's spans reach us, ours reach the program's exporter, in one trace."""
    provider = TracerProvider(shutdown_on_exit=False)
    theirs, ours = _both(provider)
    with provider.get_tracer("app").start_as_current_span("own"), driftline.tool("t"):
        pass
    driftline.flush()
    for exporter in (theirs, ours):
        tool, own = exporter.get_finished_spans()
        assert (tool.name, own.name) == ("execute_tool t", "own")
        assert tool.parent is not None
        assert own.context.span_id == tool.parent.span_id


def test_log_exporters_are_left_alone() -> None:
    """A program's own log records go where they went, and name our spans."""
    if not hasattr(logs_export, "InMemoryLogRecordExporter"):
        pytest.skip("this version of the SDK calls it something else")
    records = logs_export.InMemoryLogRecordExporter()
    logs = LoggerProvider()
    logs.add_log_record_processor(logs_export.SimpleLogRecordProcessor(records))
    set_by_others = _logs.get_logger_provider()
    _both(TracerProvider(shutdown_on_exit=False))
    assert _logs.get_logger_provider() is set_by_others
    with driftline.tool("t"):
        context = trace.get_current_span().get_span_context()
        logs.get_logger("app").emit(_logs.LogRecord(body="hello"))
    driftline.flush()
    (one,) = records.get_finished_logs()
    record = one.log_record
    assert (record.body, record.trace_id, record.span_id) == ("hello", context.trace_id, context.span_id)


def test_pending_copies_are_ours_alone() -> None:
    """The program's exporter never sees a span twice."""
    theirs, ours = _both(TracerProvider(shutdown_on_exit=False))
    with driftline.run("r"):
        driftline.flush()
    driftline.flush()
    assert (len(theirs.get_finished_spans()), len(ours.get_finished_spans())) == (1, 2)


def test_the_resource_is_completed() -> None:
    """What the provider lacks is added, what it says is kept; the span itself is not touched."""
    resource = Resource({"service.name": "theirs", "team": "a", "host.name": "given"}, "https://schema")
    theirs, ours = _both(TracerProvider(resource=resource, shutdown_on_exit=False), service_name="ignored",
                         service_version="1.2")  # fmt: skip
    with driftline.step("s"):
        pass
    driftline.flush()
    (span,) = ours.get_finished_spans()
    said = span.resource.attributes
    assert (
        said["service.name"], said["team"], said["host.name"], said["service.version"],
    ) == ("theirs", "a", "given", "1.2")  # fmt: skip
    assert _process.instance_id() == said["service.instance.id"]
    assert span.resource.schema_url == "https://schema"
    assert resource == theirs.get_finished_spans()[0].resource


def test_a_provider_that_names_no_service() -> None:
    """`unknown_service` is no name: the one given to init is used."""
    _, ours = _both(TracerProvider(shutdown_on_exit=False), service_name="mine")
    with driftline.step("s"):
        pass
    driftline.flush()
    assert ours.get_finished_spans()[0].resource.attributes["service.name"] == "mine"


def test_an_instance_id_of_theirs_is_no_process() -> None:
    """It may outlive the process or be shared by many; the scope of the clock must not."""
    theirs, ours = _both(TracerProvider(resource=Resource({"service.instance.id": "pod-1"}), shutdown_on_exit=False))
    with driftline.step("s"):
        pass
    driftline.flush()
    assert _process.instance_id() == ours.get_finished_spans()[0].resource.attributes["service.instance.id"]
    assert theirs.get_finished_spans()[0].resource.attributes["service.instance.id"] == "pod-1"


def test_counts_of_what_was_dropped_are_kept() -> None:
    """A span that lost attributes, events or links still says how many on its way to us."""
    limits = SpanLimits(max_span_attributes=4, max_events=1, max_links=1)
    _, ours = _both(TracerProvider(span_limits=limits, shutdown_on_exit=False))
    with driftline.tool("t") as call:
        for n in range(3):
            call.span.add_event(f"e{n}")
            call.span.add_link(call.span_context)
    driftline.flush()
    (span,) = ours.get_finished_spans()
    assert span.dropped_attributes > 0
    assert (span.dropped_events, span.dropped_links) == (2, 2)


class Forgetful(Sampler):
    """Records everything, and hands on none of the attributes: a common mistake in custom samplers."""

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *_: Any, **__: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {"sampler.said": "yes"})

    def get_description(self) -> str:
        return "Forgetful"


def test_a_sampler_that_drops_attributes() -> None:
    """Ours are set again, the sampler's stay."""
    _, ours = _both(TracerProvider(sampler=Forgetful(), shutdown_on_exit=False))
    with driftline.tool("t"):
        pass
    driftline.flush()
    said = ours.get_finished_spans()[0].attributes
    assert (said["gen_ai.tool.name"], said["sampler.said"]) == ("t", "yes")


def test_a_sampler_decides_for_us_too() -> None:
    """What the program does not sample is not exported, by anybody, and not announced either."""
    theirs, ours = _both(TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.0)), shutdown_on_exit=False))
    with driftline.run("r") as run, driftline.tool("t"):
        assert run.span_context.is_valid
    driftline.flush()
    assert () == theirs.get_finished_spans() == ours.get_finished_spans()


def test_shut_down_by_the_program(caplog: pytest.LogCaptureFixture) -> None:
    """A provider that the program ends flushes us; later spans cost nothing and log nothing."""
    provider = TracerProvider(shutdown_on_exit=False)
    _, ours = _both(provider)
    with driftline.step("before"):
        pass
    kept: list[Any] = []
    ours.shutdown = lambda: kept.extend(ours.get_finished_spans())  # type: ignore[method-assign]
    provider.shutdown()
    with driftline.step("after"):
        pass
    assert driftline.flush()
    assert [span.name for span in kept] == ["step before"]
    assert not [record for record in caplog.records if record.name == "driftline"]


def test_init_twice(caplog: pytest.LogCaptureFixture) -> None:
    """The first exporter stays; after a shutdown there may be another."""
    provider = TracerProvider(shutdown_on_exit=False)
    first, second = InMemorySpanExporter(), InMemorySpanExporter()
    driftline.init(tracer_provider=provider, exporter=first)
    driftline.init(tracer_provider=provider, exporter=second)
    with driftline.step("one"):
        pass
    driftline.flush()
    assert (len(first.get_finished_spans()), len(second.get_finished_spans())) == (1, 0)
    assert "called again" in caplog.text
    driftline.shutdown()
    driftline.init(tracer_provider=provider, exporter=second)
    with driftline.step("two"):
        pass
    driftline.flush()
    assert [span.name for span in second.get_finished_spans()] == ["step two"]


@pytest.mark.usefixtures("in_production")
def test_what_is_no_provider(caplog: pytest.LogCaptureFixture) -> None:
    """Another vendor's provider cannot be added to: said once, and the program runs on."""
    driftline.init(tracer_provider=object(), exporter=InMemorySpanExporter())  # type: ignore[arg-type]
    with driftline.step("s"):
        pass
    assert settings.exporting is None
    assert "driftline failed while switching on" in caplog.text


COMMON = """
import driftline
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
theirs, ours = InMemorySpanExporter(), InMemorySpanExporter()
def names(exporter):
    driftline.flush()
    return sorted(span.name for span in exporter.get_finished_spans())
"""


def test_a_global_provider_set_before(program: Program) -> None:
    """It is found and added to."""
    done = program(
        COMMON
        + """
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)
driftline.init("mine", exporter=ours)
with trace.get_tracer("app").start_as_current_span("own"), driftline.step("s"):
    pass
assert trace.get_tracer_provider() is provider
assert names(theirs) == names(ours) == ["own", "step s"], (names(theirs), names(ours))
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_provider_given_and_set_after(program: Program) -> None:
    """Given to init, it may become the global one whenever the program likes."""
    done = program(
        COMMON
        + """
provider = TracerProvider()
driftline.init("mine", tracer_provider=provider, exporter=ours)
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)
with trace.get_tracer("app").start_as_current_span("own"), driftline.step("s"):
    pass
assert names(theirs) == names(ours) == ["own", "step s"], (names(theirs), names(ours))
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_global_provider_set_after(program: Program) -> None:
    """Ours is the global one then. OpenTelemetry refuses a second and says so; the late one still works by itself,
    and one trace still runs through both.
    """
    done = program(
        COMMON
        + """
driftline.init("mine", exporter=ours)
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)
with provider.get_tracer("app").start_as_current_span("own") as own, driftline.step("s") as step:
    assert step.span.parent.span_id == own.get_span_context().span_id
with trace.get_tracer("app").start_as_current_span("global"):
    pass
assert (names(theirs), names(ours)) == (["own"], ["global", "step s"])
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["Overriding of current TracerProvider is not allowed"]


def test_without_init(program: Program) -> None:
    """The program's own provider carries our spans; without any, they cost nothing and go nowhere."""
    done = program(
        COMMON
        + """
with driftline.run("early") as run:
    assert not run.span.is_recording()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)
with driftline.run("r"), driftline.tool("t"):
    pass
assert names(theirs) == ["execute_tool t", "invoke_workflow r"]
assert theirs.get_finished_spans()[0].attributes["gen_ai.tool.name"] == "t"
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_resource_from_the_environment(program: Program) -> None:
    """A provider of ours reads the standard variables; init's arguments go over them."""
    code = (
        COMMON
        + """
import sys
driftline.init(*sys.argv[1:], exporter=ours)
with driftline.step("s"): pass
driftline.flush()
said = ours.get_finished_spans()[0].resource.attributes
print(said["service.name"], said.get("service.version"), said.get("team"))
"""
    )
    environment = {"OTEL_SERVICE_NAME": "env", "OTEL_RESOURCE_ATTRIBUTES": "service.version=9,team=a"}
    assert program(code, **environment).stdout == "env 9 a\n"
    assert program(code, "given", **environment).stdout == "given 9 a\n"


def test_the_global_provider_of_a_test_run_is_untouched() -> None:
    """These tests give their providers explicitly."""
    assert not isinstance(trace.get_tracer_provider(), TracerProvider)
