"""The newsroom of examples/ as a test runs it, and what is reported of it by run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import command

EXAMPLES = Path(__file__).parents[2] / "examples"

Found = tuple[str, str, str]


@dataclass(frozen=True)
class Article:
    """One run, as the program itself tells of it. *finds*: (detector, anomaly, grade) of what must be found."""

    run: str
    mistake: str
    trouble: str
    finds: frozenset[Found]


def newsroom(*options: str | Path, endpoint: str, timeout: float = 280) -> list[Article]:
    """Run the program to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "newsroom", "--json", "--endpoint", endpoint, *map(str, options)],
        cwd=EXAMPLES,
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return [Article(s["run"], s["mistake"], s["trouble"], frozenset(map(tuple, s["finds"]))) for s in said]


def report_when_stored(data: Path, runs: int) -> dict[str, Any]:
    """The report on a store, once all runs are in it and no more spans come."""
    spans = -1
    while True:
        report: dict[str, Any] = command.driftline("report", "--data", data, "--format", "json").json
        if report["checked"]["runs"] == runs and report["checked"]["spans"] == spans:
            return report
        spans = report["checked"]["spans"]
        time.sleep(1)


def by_run(report: dict[str, Any]) -> dict[str, set[Found]]:
    """What was found of each run."""
    found: dict[str, set[Found]] = defaultdict(set)
    for finding in report["findings"]:
        found[finding["run_id"]].add((finding["detector"], finding["anomaly"], finding["grade"]))
    return found
