"""Switches: off costs nothing and says nothing; wrong settings are named."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otlp_receiver import Receiver
from recorded_spans import Program, Recorded

import driftline
from driftline._settings import settings

EVERYTHING = """
import asyncio, sys, threading
import driftline
driftline.init("p")
before = set(sys.modules)
@driftline.attempts(2)
@driftline.tool(effect="write", key=lambda n: str(n), targets=lambda n: f"x/{n}")
def act(n): return n
@driftline.step
async def aact(): return 1
@driftline.tool
def items():
    yield 1
    yield 2
@driftline.agent
async def aitems():
    yield 1
async def main():
    async with driftline.agent("a"):
        return await aact(), [item async for item in aitems()]
with driftline.run("r", expects=["tool:act"]) as run:
    with driftline.memory.read("s", ["a", "b"]) as read:
        read.observed({"a": "v1"}, ordinal={"a": 1}); read.content("x")
    with driftline.memory.write("s", "a", parents=[read.version]) as write:
        write.wrote("v2"); write.rolled_back()
    with driftline.memory.search("s") as search: search.observed({"k": "v"})
    with driftline.memory.delete("s", "a"): pass
    with driftline.tool("t", used=[read.ref]) as call:
        call.applied(); call.refused("x"); call.unknown(); call.replayed(); call.targets("y"); call.used("z")
        call.arguments({}); call.result(1); call.set("a", 1); call.fail("b"); call.call_id
    with driftline.llm("m") as model: model.usage(input_tokens=1); model.context(items=1); model.finished("stop")
    with driftline.validation("v") as check: check.verdict("fail"); check.checked("x"); check.fail("y")
    with driftline.retrieval("d"): pass
    with driftline.send("q") as message: carrier = message.carrier
    with driftline.receive("q", carrier): pass
    assert act(5) == 5 and list(items()) == [1, 2] and asyncio.run(main()) == (1, [1])
    run.outcome("complete"); run.used("x")
    assert refused(lambda: run.span_context) is None
driftline.flush(); driftline.shutdown()
print(driftline.current_run() or "no run", threading.active_count())
"""


def test_off_by_environment(program: Program) -> None:
    """`DRIFTLINE_DISABLED=1`: every call works, returns what it should, and nothing is sent, started or logged."""
    code = "def refused(f):\n    f()\n" + EVERYTHING
    with Receiver() as receiver:
        done = program(code, DRIFTLINE_DISABLED="1", DRIFTLINE_ENDPOINT=receiver.endpoint)
        assert (done.returncode, done.stdout, done.stderr) == (0, "no run 1\n", "")
        assert receiver.requests == 0


def test_on(program: Program) -> None:
    """The same program, switched on, sends all of it and logs nothing."""
    code = "def refused(f):\n    f()\n" + EVERYTHING
    with Receiver() as receiver:
        done = program(code, DRIFTLINE_ENDPOINT=receiver.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(receiver.spans()) == 16


def test_off_by_argument(spans: Recorded) -> None:
    """`init(enabled=False)` does the same, and may be taken back."""
    driftline.init(enabled=False)
    with driftline.run("unseen") as run:
        run.set("a", 1)
    driftline.init(enabled=True)
    with driftline.run("seen"):
        pass
    assert spans.names == ["invoke_workflow seen"]


def test_off_leaves_the_programs_spans_alone(spans: Recorded) -> None:
    """The current span is the program's own, before, inside and after."""
    driftline.init(enabled=False)
    tracer = trace.get_tracer("own", tracer_provider=TracerProvider(shutdown_on_exit=False))
    with tracer.start_as_current_span("own") as own:

        @driftline.tool
        def act() -> Any:
            return trace.get_current_span()

        with driftline.agent("a"):
            assert trace.get_current_span() is own
        assert act() is own
        assert asyncio.run(_later(act)) is own


async def _later(act: Any) -> Any:
    return act()


def test_no_initialisation_is_no_error(program: Program) -> None:
    """A library may be instrumented whether or not its program calls init."""
    done = program("def refused(f):\n    f()\n" + EVERYTHING.replace('driftline.init("p")\n', ""))
    assert (done.returncode, done.stdout, done.stderr) == (0, "no run 1\n", "")


def test_unknown_capture() -> None:
    """A wrong word in the source is an error that names the right ones."""
    with pytest.raises(ValueError, match="off, digests, full"):
        driftline.init(capture="all")  # type: ignore[arg-type]
    assert settings.exporting is None


def test_unknown_capture_in_the_environment(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong word in the environment does not stop a program: content stays in, digests go out, one line says so."""
    monkeypatch.setenv("DRIFTLINE_CAPTURE", "everything")
    driftline.init(tracer_provider=TracerProvider(shutdown_on_exit=False), exporter=InMemorySpanExporter())
    assert settings.capture == "digests"
    assert "DRIFTLINE_CAPTURE=everything is none of off, digests, full" in caplog.text


@pytest.mark.parametrize("word", ["off", "digests", "full"])
def test_capture(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment decides, an argument goes over it."""
    monkeypatch.setenv("DRIFTLINE_CAPTURE", word)
    driftline.init(tracer_provider=TracerProvider(shutdown_on_exit=False), exporter=InMemorySpanExporter())
    assert settings.capture == word
    driftline.init(capture="off")
    assert settings.capture == "off"


def test_variant_of_the_environment(spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise the variant."""
    monkeypatch.setenv("DRIFTLINE_VARIANT", "env")
    driftline.init()
    with driftline.step("s"):
        pass
    assert spans.said("step s")["driftline.variant"] == "env"


def test_python_m_driftline_without_the_command(program: Program) -> None:
    """The module runs the installed command, or says how to get it."""
    code = """
    import importlib.metadata, runpy, sys
    importlib.metadata.entry_points = lambda **_: ()
    runpy.run_module("driftline", run_name="__main__")
    """
    done = program(code)
    assert (done.returncode, done.stderr) == (
        2,
        "the driftline command is not installed: pip install 'driftline[server]'\n",
    )
