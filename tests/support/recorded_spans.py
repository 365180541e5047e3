"""The spans a test of the SDK has made, by name."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import driftline

Program = Callable[..., subprocess.CompletedProcess[str]]


class Recorded:
    """The spans a test has made."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self, *, pending: bool = False) -> list[ReadableSpan]:
        """Every ended span, in order of their ends; without pending copies."""
        driftline.flush()
        found = self._exporter.get_finished_spans()
        return [span for span in found if pending or not (span.attributes or {}).get("driftline.pending")]

    def one(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        found = [span for span in self.all() if span.name == name]
        assert len(found) == 1, f"{len(found)} spans {name!r} among {[span.name for span in self.all()]}"
        return found[0]

    def said(self, name: str) -> dict[str, Any]:
        """The attributes of the only span of this name, lists as lists."""
        attributes = self.one(name).attributes or {}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in attributes.items()}

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.all()]
