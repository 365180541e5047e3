"""The store keeps to its own folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from otlp_requests import request, span
from shared_store import fresh_store

from driftline.collector.otlp import framed


def test_an_insert_leaves_nothing_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given as text, the engine would write the schema of OTLP beside whatever the user is working on."""
    store = fresh_store()
    monkeypatch.chdir(tmp_path)
    store.insert_requests(framed(request(span("s")).SerializeToString()), os.urandom(8).hex())
    assert 1 == store.value("SELECT count() FROM otel_traces")
    assert [] == list(tmp_path.iterdir())
