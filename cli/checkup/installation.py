"""The installation and the settings in this folder."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator

from driftline.cli.checkup import Observation
from driftline.errors import DriftlineError

_PACKAGES = ("opentelemetry-sdk", "chdb", "clickhouse-connect", "polars", "fastapi", "uvicorn", "typer", "zstandard")


def look() -> Iterator[Observation]:
    """Python, the packages, the settings."""
    yield Observation("ok", f"Python {sys.version.split()[0]}")
    for name in _PACKAGES:
        try:
            yield Observation("ok", f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Observation("bad", f"{name} is not installed", "pip install 'driftline[server]'")
    try:
        yield Observation("ok", f"grpcio {importlib.metadata.version('grpcio')}")
    except importlib.metadata.PackageNotFoundError:
        yield Observation(
            "note", "grpcio is not installed: no OTLP/gRPC", "pip install 'driftline[grpc]', if it is used"
        )
    yield from _settings()


def _settings() -> Iterator[Observation]:
    from driftline.cli.settings import config_from

    try:
        config_from(None, None, None)
    except DriftlineError as error:
        yield Observation("bad", error.what, error.todo)
    else:
        yield Observation("ok", "the settings in this folder can be read, or there are none")
