"""Redaction in the program: what is taken has not left it; what goes wrong takes the value along, not the program."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import planted
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import driftline
from driftline import _guard
from driftline.canonical import digest


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Switches driftline on with a *redact*; called, it gives what was exported."""
    monkeypatch.setenv("DRIFTLINE_STRICT", "0")
    monkeypatch.setattr(_guard, "_said", set())

    def begin(redact: Any) -> Any:
        driftline.shutdown()
        memory, provider = InMemorySpanExporter(), TracerProvider()
        driftline.init("s", exporter=memory, tracer_provider=provider, capture="full", redact=redact)

        def ended() -> list[ReadableSpan]:
            assert driftline.flush()
            return list(memory.get_finished_spans())

        ended.provider = provider  # type: ignore[attr-defined]
        return ended

    yield begin
    driftline.shutdown()


def text_of(spans: list[ReadableSpan]) -> str:
    return " ".join(span.to_json() for span in spans)


def test_no_secret_leaves_the_process(sent: Any) -> None:
    """Names, attributes of every kind, exceptions with their stack, events, status; our own spans and others'."""
    plants = planted.Plants()
    ended = sent([{"pattern": planted.PATTERN}, {"keys": ["password", "user.*"], "action": "hash"}])
    secret = plants.a("argument")

    @driftline.tool(effect="write", targets=lambda to, **_: [f"order/{to}"], key=lambda to, **_: to)
    def pay(to: str, password: str) -> None:
        raise RuntimeError(f"no money for {to} {plants.a('raised')}")

    with pytest.raises(RuntimeError), driftline.run(plants.a("workflow")) as run, driftline.agent(plants.a("agent")):
        for key, value in {**plants.values(), "list": [plants.a("list"), "x"], "ints": [1, 2]}.items():
            if key not in ("bytes", "user.bytes"):  # the SDK sends bytes as the text they hold
                run.set(key, value)
        run.span.add_event(plants.a("event"), {"a": plants.a("inevent")})
        with driftline.memory.write(plants.a("store"), plants.a("key")) as write:
            write.wrote(plants.a("version"))
        with ended.provider.get_tracer("foreign").start_as_current_span(plants.a("foreign")) as other:
            other.set_attribute("x", plants.a("foreignvalue"))
        pay(secret, password=plants.keyed("password"))
    spans = ended()
    assert len(spans) == 5
    assert plants.leaks(text_of(spans)) == []


def test_digests_are_those_of_what_was_there(sent: Any) -> None:
    """Calls stay as equal or unequal as they were; also those that somebody else's instrumentation tells of."""
    ended = sent([{"keys": ["gen_ai.tool.call.arguments", "gen_ai.tool.call.result"]}])

    @driftline.tool
    def look(order: str) -> str:
        return order

    look("991")
    with ended.provider.get_tracer("foreign").start_as_current_span("execute_tool x") as other:
        other.set_attribute("gen_ai.tool.call.arguments", '{"order": "991"}')
    ours, theirs = (dict(span.attributes or {}) for span in ended())
    assert ours["gen_ai.tool.call.arguments"] == ours["gen_ai.tool.call.result"] == "[REDACTED]"
    assert theirs["gen_ai.tool.call.arguments"] == "[REDACTED]"
    assert ours["driftline.call.args_digest"] == theirs["driftline.call.args_digest"] == digest({"order": "991"})


def test_what_detectors_compare_is_hashed_not_masked(sent: Any) -> None:
    """Two customers stay two customers."""
    ended = sent([{"preset": "emails"}])
    for who in ("ann@x.com", "bob@x.com", "ann@x.com"):
        with driftline.tool("pay", effect="write", targets=[f"customer/{who}"]):
            pass
    targets = [dict(span.attributes or {})["driftline.effect.targets"] for span in ended()]
    assert targets[0] == targets[2] != targets[1]
    assert targets[0][0].startswith("customer/hash:")


def test_a_function_of_ones_own(sent: Any) -> None:
    """It sees every key and value, typed as the program set them; None drops the attribute."""
    seen: dict[str, Any] = {}

    def redact(key: str, value: Any) -> Any:
        seen[key] = value
        return None if key == "gone" else "***" if key in ("hidden", "span.name") else value

    ended = sent(redact)
    with driftline.step("s") as step:
        step.set("gone", 1)
        step.set("hidden", ["a"])
        step.set("kept", [1, 2])
    (span,) = ended()
    said = dict(span.attributes or {})
    assert "gone" not in said
    assert (said["hidden"], list(said["kept"]), span.name) == ("***", [1, 2], "***")
    assert seen["gone"] == 1
    assert {"span.name", "service.name", "driftline.seq"} <= set(seen)


def test_it_fails_closed(sent: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A function that raises takes the value it was given along; one line in the log, which does not quote it."""

    def redact(key: str, value: Any) -> Any:
        if key in ("a", "b", "status.message", "span.name"):
            raise KeyError(value)
        return value

    ended = sent([redact])
    with caplog.at_level(logging.WARNING, "driftline"), driftline.step("secret-name") as step:
        step.set("a", "secret-1")
        step.set("b", "secret-2")
        step.set("c", "fine")
        step.fail("secret-3")
    (span,) = ended()
    assert span.name == "[REDACTED]"
    assert not any(f"secret-{number}" in span.to_json() for number in (1, 2, 3))
    assert dict(span.attributes or {})["c"] == "fine"
    lines = [record.getMessage() for record in caplog.records if record.name == "driftline"]
    assert len(lines) == 1
    assert "secret-" not in lines[0]


def test_rules_from_the_environment(sent: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The settings file of the server, or presets by name; the hash is that of whoever has the same key."""
    file = tmp_path / "driftline.toml"
    file.write_text('[[redact]]\nkeys = ["user"]\naction = "hash"\n')
    monkeypatch.setenv("DRIFTLINE_REDACTION_KEY", "k" * 64)
    for said, expected in ((str(file), "hash:"), ("emails,secrets", "[REDACTED]")):
        monkeypatch.setenv("DRIFTLINE_REDACT", said)
        ended = sent(None)
        with driftline.step("s") as step:
            step.set("user", "ann@x.com")
        assert str(dict(ended()[-1].attributes or {})["user"]).startswith(expected)


def test_rules_that_cannot_be_used_let_nothing_out(
    sent: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the environment: nothing is sent, and it is said. Of the program itself: it hears it."""
    monkeypatch.setenv("DRIFTLINE_REDACT", "no/such/file.toml")
    with caplog.at_level(logging.WARNING, "driftline"):
        ended = sent(None)
    with driftline.step("s"):
        pass
    assert ended() == []
    assert "No span is sent" in caplog.text
    with pytest.raises(driftline.DriftlineError, match="look-around"):
        driftline.init("s", redact=[{"pattern": "(?=a)b"}])


def test_an_exporter_of_the_programs_own() -> None:
    """Wrapped, it gets the same as ours."""
    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(driftline.RedactingExporter(memory, "emails")))
    with provider.get_tracer("t").start_as_current_span("to a@b.co") as span:
        span.set_attribute("x", "a@b.co")
        span.set_attribute("n", 5)
    said = json.loads(memory.get_finished_spans()[0].to_json())
    assert said["name"] == "to [REDACTED]"
    assert said["attributes"] == {"x": "[REDACTED]", "n": 5}
