"""How processes end: in order although the engine is at work, and a server at once when it is told twice."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from command import Up

_PROGRAM = """
import sys, threading, time
from driftline import cli
from driftline.collector.store import open_store

def run():
    store = open_store(sys.argv[1])
    table = "CREATE TABLE IF NOT EXISTS t (n UInt64) ENGINE = MergeTree ORDER BY n"
    store.command(table)
    insert = "INSERT INTO t SELECT number FROM numbers(1000000000) SETTINGS max_threads = 1"
    threading.Thread(target=store.command, args=(insert,), daemon=True).start()
    time.sleep(0.5)
    print("done")
    return 7

cli._run = run
sys.exit(cli.main())
"""


@pytest.mark.e2e
def test_a_call_under_way_at_the_end_is_no_crash(tmp_path: Path) -> None:
    """Its own exit code, its whole output, and no last words of the engine."""
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "done\n", "")


@pytest.mark.e2e
def test_a_second_signal_ends_a_server_at_once(tmp_path: Path) -> None:
    """It waits for a request that never ends; what was acknowledged is in the log or the store all the same."""
    up = Up(tmp_path / "data")
    address = urlsplit(up.otlp)
    with socket.create_connection((address.hostname, address.port)) as slow:
        slow.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
        time.sleep(0.5)
        up.process.send_signal(signal.SIGTERM)
        assert up.process.stderr is not None
        assert "stopping" in up.process.stderr.readline()
        ended = up.stop(signal.SIGTERM)
    assert ended.code == 130
    assert "ended at once" in ended.err
    again = Up(tmp_path / "data")
    assert again.stop(signal.SIGTERM).code == 0
