"""`driftline up --clickhouse URL`: the spans on a ClickHouse server, the log and the dead letters in the folder."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_server import ClickHouse
from command import Up, driftline, free_ports
from otlp_requests import request, span

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The ClickHouse server."""
    found = ClickHouse(tmp_path_factory.mktemp("clickhouse"), free_ports(1)[0])
    yield found
    found.kill()


@pytest.fixture
def up(server: ClickHouse, tmp_path: Path) -> Iterator[Up]:
    """A driftline in front of it. The address holds a password, as people's do."""
    found = Up(tmp_path / "data", "--clickhouse", server.url.replace("http://", "http://default:hidden@"))
    yield found
    if found.process.poll() is None:
        found.stop()


def post(up: Up, number: int) -> int:
    """Send a span of the trace *number*."""
    body = request(span("sent", trace=number, number=1)).SerializeToString()
    sent = urllib.request.Request(f"{up.otlp}/v1/traces", body, {"Content-Type": "application/x-protobuf"})
    with urllib.request.urlopen(sent, timeout=60) as answer:
        return int(answer.status)


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


def test_a_server_away_for_a_while(server: ClickHouse, up: Up) -> None:
    """Senders do not notice; whoever asks is told; afterwards every command finds the spans through the folder."""
    assert post(up, 1) == 200
    until(lambda: ready(up)[1]["log_bytes"] == 0)
    server.kill()
    assert post(up, 2) == 200
    until(lambda: ready(up)[0] == 503)
    assert ready(up)[1]["log_bytes"] > 0
    server.start()
    until(lambda: ready(up)[0] == 200 and ready(up)[1]["log_bytes"] == 0)
    for number in (1, 2):
        found = driftline("show", f"{number:032x}", "--data", up.data, "--format", "json")
        assert found.code == 0, found.err
    ended = up.stop()
    assert (ended.code, "Traceback" in ended.err) == (0, False)
    assert "hidden" not in ended.out + ended.err + up.clickhouse


def test_what_is_in_the_log_when_it_ends_is_stored_by_the_next(server: ClickHouse, up: Up) -> None:
    """The server is down when driftline is killed, and back when it starts again."""
    server.kill()
    assert post(up, 3) == 200
    up.process.kill()
    up.process.communicate(timeout=60)
    server.start()
    again = Up(up.data, "--clickhouse", server.url)
    try:
        until(lambda: ready(again)[1]["log_bytes"] == 0)
        assert driftline("show", f"{3:032x}", "--data", server.url).code == 0
    finally:
        again.stop()


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Without its password; nothing is started."""
    port = free_ports(1)[0]
    ended = driftline("up", "--data", tmp_path / "data", "--clickhouse", f"http://me:hidden@127.0.0.1:{port}/")
    assert ended.code == 2
    assert f"ClickHouse at http://127.0.0.1:{port}/ did not let us in" in ended.err
    assert "hidden" not in ended.err


def test_no_address(tmp_path: Path) -> None:
    """A folder is no server, nor is a server a folder."""
    wrong = driftline("up", "--data", tmp_path / "data", "--clickhouse", "somewhere")
    assert (wrong.code, "somewhere is no address of a ClickHouse server" in wrong.err) == (2, True)
    swapped = driftline("up", "--data", "http://127.0.0.1:8123")
    assert (swapped.code, "the ClickHouse server with --clickhouse" in swapped.err) == (2, True)
