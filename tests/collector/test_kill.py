"""A real server killed under load: every span that was acknowledged is there afterwards, once."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from command import Up
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_requests import request, span

from driftline.collector.store import open_store

KILLS = 3
SENDERS = 6
MEMORY = {"gen_ai.operation.name": "read_memory", "gen_ai.memory.store.id": "notes", "driftline.memory.keys": ["a"]}


class Load:
    """Senders that keep sending until the server is gone, and remember what it acknowledged."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.acknowledged: set[str] = set()
        self.enough = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _send(self) -> None:
        while True:
            spans = [span("read", MEMORY, trace=os.urandom(16), number=os.urandom(8)) for _ in range(5)]
            try:
                self._post(spans)
            except (urllib.error.URLError, OSError, EOFError):
                return
            self.acknowledged |= {one.span_id.hex() for one in spans}
            if len(self.acknowledged) > 600:
                self.enough.set()

    def _post(self, spans: list[Span]) -> None:
        body = request(*spans, scope="driftline").SerializeToString()
        post = urllib.request.Request(f"{self.address}/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        with urllib.request.urlopen(post, timeout=30) as answer:
            assert answer.status == 200


def drained(up: Up) -> None:
    """Until the log is empty."""
    deadline = time.monotonic() + 120
    while True:
        with urllib.request.urlopen(f"{up.otlp}/readyz") as answer:
            if json.load(answer)["log_bytes"] == 0:
                return
        assert time.monotonic() < deadline, "the log does not drain"
        time.sleep(0.1)


@pytest.mark.e2e
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """SIGKILL the moment enough was acknowledged, a few times over; nothing is missing, nothing is there twice."""
    acknowledged: set[str] = set()
    for _ in range(KILLS):
        up = Up(tmp_path)
        load = Load(up.otlp)
        assert load.enough.wait(120)
        up.process.kill()
        up.process.communicate(timeout=60)
        load.join()
        acknowledged |= load.acknowledged
    up = Up(tmp_path)
    try:
        drained(up)
        with open_store(up.clickhouse, create=False) as store:
            for table, column in (("otel_traces", "SpanId"), ("steps", "span_id"), ("memory_ops", "span_id")):
                # Without FINAL: not even copies, as a segment inserted again under its token adds nothing.
                rows = store.rows(f"SELECT {column} AS id, count() AS copies FROM {table} GROUP BY id")
                found = {row["id"]: row["copies"] for row in rows}
                assert acknowledged - set(found) == set(), table
                assert set(found.values()) == {1}, table
    finally:
        up.stop()
