"""Exceptions: the program's pass through untouched and are recorded; our own never get out."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from opentelemetry.trace import StatusCode
from recorded_spans import Recorded

import driftline
from driftline import _guard
from driftline._operation import Operation
from driftline.errors import DriftlineError


class NotEnough(driftline.Refused):
    """As a program would name it."""


class Mute(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_any_exception_passes_through(kind: type[BaseException], spans: Recorded) -> None:
    """The very object that was raised comes out, from a block and from a function."""
    error = kind("text")

    def fails() -> None:
        raise error

    with pytest.raises(kind) as caught:
        driftline.tool("function", effect="write")(fails)()
    assert error is caught.value
    with pytest.raises(kind) as caught, driftline.tool("block"):
        raise error
    assert error is caught.value
    assert spans.said("execute_tool function")["driftline.effect.outcome"] == "unknown"


def test_what_is_recorded(spans: Recorded) -> None:
    """Status, type, message and stack trace of the exception."""
    with pytest.raises(ValueError, match="bad order"), driftline.step("s"):
        raise ValueError("bad order")
    span = spans.one("step s")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError: bad order")
    assert span.attributes["error.type"] == "ValueError"
    (event,) = span.events
    assert (
        event.name, event.attributes["exception.type"], event.attributes["exception.message"],
    ) == ("exception", "ValueError", "bad order")  # fmt: skip
    assert "bad order" in event.attributes["exception.stacktrace"]


def test_refused(spans: Recorded) -> None:
    """A refusal is known to have changed nothing; also one of a subclass."""
    for name, kind in (("a", driftline.Refused), ("b", NotEnough)):
        with pytest.raises(driftline.Refused), driftline.tool(name, effect="write"):
            raise kind("no funds")
        assert spans.said(f"execute_tool {name}")["driftline.effect.outcome"] == "refused"
        assert StatusCode.ERROR is spans.one(f"execute_tool {name}").status.status_code


def test_refused_without_raising(spans: Recorded) -> None:
    """The handle says so; with a reason the call counts as failed."""
    with driftline.tool("a", effect="write") as call:
        call.refused()
    with driftline.tool("b", effect="write") as call:
        call.refused("no funds")
    assert spans.said("execute_tool a")["driftline.effect.outcome"] == "refused"
    assert spans.one("execute_tool a").status.is_unset
    assert spans.one("execute_tool b").status.description == "no funds"


@pytest.mark.usefixtures("in_production")
def test_an_exception_that_cannot_be_described(spans: Recorded) -> None:
    """It passes through, and its span ends with its type."""
    with pytest.raises(Mute), driftline.tool("t"):
        raise Mute
    said = spans.said("execute_tool t")
    assert said["error.type"] == "Mute"
    assert said["driftline.seq.end"] == said["driftline.seq"] + 1


@pytest.mark.usefixtures("in_production")
def test_unencodable_text_in_an_exception(spans: Recorded) -> None:
    """A lone surrogate in a message does not cost the batch."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    with pytest.raises(ValueError), driftline.tool("t\ud800"):
        raise ValueError("\ud800")
    encode_spans(spans.all()).SerializeToString()


class _Broken(Operation[Any]):
    """Fails wherever it can."""

    where = ""

    def links(self) -> Any:
        return self._fail("links")

    def begin(self, base: Any, call: Any) -> Any:
        return self._fail("begin") or {}

    def finish(self, handle: Any, error: Any, result: Any) -> Any:
        return self._fail("finish") or {}

    def _fail(self, where: str) -> Any:
        if self.where == where:
            raise RuntimeError(f"bug in {where}")


@pytest.mark.parametrize("where", ["links", "begin", "finish"])
@pytest.mark.usefixtures("in_production")
def test_our_bugs_stay_ours(where: str, spans: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever fails inside driftline, the program's block and function run, once, with one log line."""
    broken = _Broken("broken", {})
    broken.where = where
    ran = []
    with broken:
        ran.append("block")
    traced = broken(lambda: ran.append("function"))
    traced()
    traced()
    assert ran == ["block", "function", "function"]
    assert len(caplog.records) == 1
    assert f"bug in {where}" in caplog.text
    assert "Your code runs on" in caplog.text
    if where == "finish":
        assert len(spans.all()) == 3, "a span whose end cannot be described ends all the same"


@pytest.mark.parametrize("where", ["links", "begin", "finish"])
def test_our_bugs_are_raised_under_test(where: str, spans: Recorded) -> None:
    """Under pytest a bug of ours is an exception."""
    broken = _Broken("broken", {})
    broken.where = where
    with pytest.raises(RuntimeError, match=f"bug in {where}"), broken:
        pass


@pytest.mark.usefixtures("in_production")
def test_guarded_lets_the_end_of_the_program_through() -> None:
    """Only failures are swallowed: no KeyboardInterrupt, no SystemExit."""
    with pytest.raises(KeyboardInterrupt), _guard.guarded("testing"):
        raise KeyboardInterrupt
    with _guard.guarded("testing"):
        raise RuntimeError


def test_strict_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`DRIFTLINE_STRICT` decides where it is set; else pytest does."""
    assert _guard.strict()
    monkeypatch.setenv("DRIFTLINE_STRICT", "0")
    assert not _guard.strict()
    monkeypatch.delenv("DRIFTLINE_STRICT")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert not _guard.strict()
    monkeypatch.setenv("DRIFTLINE_STRICT", "1")
    assert _guard.strict()


def test_warnings_come_once(caplog: pytest.LogCaptureFixture) -> None:
    """One cause, one line, whatever it happens to."""
    with caplog.at_level(logging.WARNING, "driftline"):
        for n in range(3):
            _guard.warn_once("cause", "happened %d", n)
    assert [record.getMessage() for record in caplog.records] == ["happened 0"]


def test_errors_say_what_to_do() -> None:
    """The root of the errors that a user sees has two parts."""
    assert str(DriftlineError("the port is taken", "choose another")) == "the port is taken; choose another"
    assert str(DriftlineError("the port is taken")) == "the port is taken"
