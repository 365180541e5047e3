"""What every test of the SDK starts from: a provider of its own, spans kept in memory, nothing left behind."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from recorded_spans import Program, Recorded

import driftline
from driftline import _guard, _process
from driftline._settings import Settings, settings


@pytest.fixture(autouse=True)
def as_after_import() -> Iterator[None]:
    """Settings as `import driftline` leaves them, before and after; no two tests are one process."""
    for member in dataclasses.fields(Settings):
        setattr(settings, member.name, getattr(Settings(), member.name))
    _guard._said.clear()
    yield
    driftline.shutdown(1.0)
    for member in dataclasses.fields(Settings):
        setattr(settings, member.name, getattr(Settings(), member.name))
    _process.set_for_testing(str(uuid.uuid4()))


@pytest.fixture
def spans() -> Recorded:
    """driftline switched on, over a provider that no other test shares."""
    exporter = InMemorySpanExporter()
    driftline.init("tests", tracer_provider=TracerProvider(shutdown_on_exit=False), exporter=exporter)
    return Recorded(exporter)


@pytest.fixture
def in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    """driftline swallows its own failures, as it does outside of tests."""
    monkeypatch.setenv("DRIFTLINE_STRICT", "0")


@pytest.fixture
def program() -> Program:
    """Runs a program of its own, with a clean environment, to its end."""

    def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("DRIFTLINE_", "OTEL_", "PYTEST_"))
        }
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *arguments],
            env={**inherited, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
