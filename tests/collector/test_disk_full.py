"""A disk that fills up under a running server: nothing acknowledged is spoilt, and room is all it takes."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Up
from otlp_requests import request, span

from driftline.collector.store import open_store

SIZE = 200 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounting.returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def post(up: Up, number: int) -> tuple[int, dict[str, str]]:
    """Send two spans of the trace *number*: status and headers of the answer."""
    sent = request(*(span("sent", trace=number + 1, number=n + 1) for n in range(2))).SerializeToString()
    asked = urllib.request.Request(f"{up.otlp}/v1/traces", sent, {"Content-Type": "application/x-protobuf"})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        return error.code, {name.lower(): value for name, value in error.headers.items()}


def ready(up: Up) -> tuple[int, dict[str, Any]]:
    """What `/readyz` says."""
    try:
        with urllib.request.urlopen(f"{up.otlp}/readyz", timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited a minute in vain"
        time.sleep(0.05)


def fill(place: Path) -> Path:
    """A file that takes all there is."""
    filler = place / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(2**16))
                file.flush()
        except OSError:
            pass
    return filler


@pytest.mark.e2e
def test_a_full_disk_refuses_spoils_nothing_and_recovers(small_disk: Path) -> None:
    """Twice over; then the folder is opened by the next server, and holds what was acknowledged, once."""
    up = Up(small_disk / "data")
    taken: list[int] = []
    number = 0
    try:
        for _ in range(2):
            for _ in range(5):
                assert post(up, number)[0] == 200
                taken.append(number)
                number += 1
            filler = fill(small_disk)
            for _ in range(10):
                status, headers = post(up, number)
                assert status == 503
                assert "retry-after" in headers
                number += 1
            status, said = ready(up)
            assert status == 503
            assert "the log cannot be written" in said["trouble"]
            filler.unlink()
            until(lambda: ready(up)[0] == 200)
        assert post(up, number)[0] == 200
        taken.append(number)
        until(lambda: ready(up)[1]["log_bytes"] == 0)
        assert ready(up)[1]["dead_letters"] == 0
    finally:
        ended = up.stop()
    assert (ended.code, "Traceback" in ended.err) == (0, False)
    again = Up(small_disk / "data")
    try:
        with open_store(again.clickhouse, create=False) as store:
            for table, column in (("otel_traces", "TraceId"), ("steps", "trace_id")):
                rows = store.rows(f"SELECT {column} AS id, count() AS n FROM {table} GROUP BY id")
                assert {row["id"]: row["n"] for row in rows} == {f"{one + 1:032x}": 2 for one in taken}, table
    finally:
        again.stop()
