"""Inputs that a fuzzer makes: the receiver answers each in order, and the engine takes what the receiver took."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import fuzzing
import pytest

from driftline.collector import Collector
from driftline.collector.store import Store

PROGRAM = Path(fuzzing.__file__)


NOT_HERE = importlib.util.find_spec("atheris") is None and "CI" not in os.environ


@pytest.mark.skipif(NOT_HERE, reason="atheris has no wheel for this machine")
def test_no_input_is_a_fault_of_the_server(tmp_path: Path) -> None:
    """3,000 inputs under atheris, each run from another seed; `make fuzz` looks for ten minutes."""
    seed = random.randrange(1, 2**31)
    corpus = tmp_path / "corpus"
    done = subprocess.run(
        [sys.executable, PROGRAM, corpus, "-runs=3000", f"-seed={seed}", "-print_final_stats=1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 3000 runs" in done.stderr, done.stderr[-3000:]
    assert not list(tmp_path.glob("corpus-*"))


def test_the_engine_takes_what_the_receiver_took(store: Store, tmp_path: Path) -> None:
    """Requests changed at random, with every kind of value in every place: no batch is refused by the engine."""
    seed = random.randrange(2**32)
    collector = Collector(store, tmp_path)
    collector.start()
    taken = fuzzing.store(fuzzing.changed(400, seed), collector)
    assert collector.flush(100), seed
    stats = collector.stats()
    collector.stop(10)
    assert taken > 400, seed
    assert (stats["dead_letters"], stats["stored"]) == (0, stats["acknowledged"]), seed
