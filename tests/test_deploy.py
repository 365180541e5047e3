"""What `deploy/` and docs/operations.md say of metrics is what the server tells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_store import FakeStore

from driftline.collector import Collector
from driftline.collector.metrics import Watch, Watched, exposition

ROOT = Path(__file__).parents[1]
_METRIC = re.compile(
    r"\b(?:driftline|process)_[a-z_]*(?:total|seconds|bytes|letters|segments|traces|trouble|info|fds)\b"
)


def told(folder: Path) -> set[str]:
    """The metrics of a server whose collector has refused something."""
    collector = Collector(FakeStore(), folder)
    collector.refuse("overload")
    gauges = {"analysis_due_traces": 0.0, "analysis_lag_seconds": 0.0}
    text = exposition(Watch(lambda: [Watched("default", collector, lambda: gauges)], lambda: {"KeyNeeded": 1}, folder))
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("file", ["deploy/alerts.yml", "docs/operations.md"])
def test_every_metric_that_is_spoken_of_is_told(tmp_path: Path, file: str) -> None:
    spoken = set(_METRIC.findall((ROOT / file).read_text(encoding="utf-8")))
    assert len(spoken) > 8
    assert spoken <= told(tmp_path)


def test_every_metric_that_is_told_is_explained(tmp_path: Path) -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert told(tmp_path) <= set(_METRIC.findall(page))


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    rules = (ROOT / "deploy/alerts.yml").read_text(encoding="utf-8").split("- alert: ")[1:]
    assert len(rules) >= 8
    for rule in rules:
        assert {"expr:", "summary:", "action:"} <= set(rule.split()), rule


def test_the_unit_gives_the_server_the_time_it_takes_to_stop() -> None:
    unit = (ROOT / "deploy/driftline.service").read_text(encoding="utf-8")
    stop = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert stop is not None
    assert int(stop[1]) > 60
    assert "ExecStart=/opt/driftline/bin/driftline up\n" in unit
