"""The user's guide: its examples run as they stand, and its tables name what there is."""

from __future__ import annotations

import asyncio
import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import driftline
from driftline import attributes

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = re.findall(r"## ([^\n]+)\n(?:(?!\n## ).)*?```python\n(.*?)```", (DOCS / "sdk.md").read_text(), re.DOTALL)
REDACTION = re.findall(r"```python\n(.*?)```", (DOCS / "redaction.md").read_text(), re.DOTALL)


@pytest.mark.parametrize(("title", "code"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_examples(title: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each runs without a warning of ours, and every span it makes is whole."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    init = driftline.init

    def init_here(service_name: str | None = None, tracer_provider: TracerProvider | None = None, **how: Any) -> None:
        if tracer_provider is not None:
            tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))
        init(service_name, tracer_provider=tracer_provider or provider, exporter=InMemorySpanExporter(), **how)

    monkeypatch.setattr(driftline, "init", init_here)
    if "driftline.init(" not in code:
        init_here("docs")
    names: dict[str, Any] = {"__name__": "example"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(code, f"docs/sdk.md: {title}", "exec"), names)
        if "load" in names:
            assert asyncio.run(names["load"]()) == 3
    found = exporter.get_finished_spans()
    assert found
    for span in found:
        if span.name != "my own span":
            assert (span.attributes or {})["driftline.seq.end"]


def test_every_section_with_code_was_run() -> None:
    """No example escapes the expression that finds them."""
    assert len(EXAMPLES) == (DOCS / "sdk.md").read_text().count("```python")


def test_examples_of_redaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each runs as it stands, one after the other."""
    init = driftline.init
    provider = TracerProvider(shutdown_on_exit=False)  # the global one is for all tests

    def init_here(name: str, **how: Any) -> None:
        init(name, exporter=InMemorySpanExporter(), tracer_provider=provider, **how)

    monkeypatch.setattr(driftline, "init", init_here)
    assert len(REDACTION) == 3
    for code in REDACTION:
        exec(compile(code, "docs/redaction.md", "exec"), {"__name__": "example"})
    driftline.shutdown()


def test_the_vocabulary_names_every_attribute() -> None:
    """docs/wire.md and the module of attribute keys say the same, both ways."""
    text = (DOCS / "wire.md").read_text()
    keys = {value for name, value in vars(attributes).items() if name.isupper() and name != "NAMESPACE"}
    described = set(re.findall(r"`(driftline\.[a-z_.]+)`", text)) - {"driftline."}
    assert {key for key in keys if key.startswith("driftline.")} == described
    in_families = ("gen_ai.usage.", "messaging.message.id", "error.type")
    assert [key for key in keys if f"`{key}`" not in text and not key.startswith(in_families)] == []


def test_the_guide_names_everything_public() -> None:
    """Whatever `driftline` exports is in the guide."""
    text = (DOCS / "sdk.md").read_text()
    hidden = {"Attempt", "DriftlineError", "__version__", *(name for name in driftline.__all__ if "Handle" in name)}
    assert [name for name in driftline.__all__ if name not in hidden and not re.search(rf"\b{name}\b", text)] == []
    parameters = inspect.signature(driftline.init).parameters
    assert [name for name in parameters if f"`{name}`" not in text] == []
