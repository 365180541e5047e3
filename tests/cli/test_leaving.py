"""A process that ends while the engine works ends in order: the engine would crash it otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
