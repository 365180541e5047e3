"""Analysis beside ingest: what is judged when, what survives a restart, and what one bad run may not do to others."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from histories import framed, fresh_store, requests

from driftline.analyzers import loop as loop_module
from driftline.analyzers.loop import AnalysisLoop
from driftline.collector.store import Store

_REPEATED = """
P1 run(order) run={run}
  P1 tool(charge) args=o1 effect=write eo=applied target=order/1
  P1 tool(charge) args=o1 effect=write eo=applied target=order/1
"""


class _Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    found = _Clock()
    monkeypatch.setattr(loop_module.time, "monotonic", found.monotonic)
    return found


@pytest.fixture
def store() -> Store:
    return fresh_store()


def _insert(store: Store, text: str, **how: Any) -> None:
    store.insert_requests(framed(requests(text, **how)), secrets.token_hex(8))
    time.sleep(0.002)  # ingest stamps milliseconds: a later batch gets a later one


def _findings(store: Store) -> list[tuple[str, str]]:
    rows = store.rows("SELECT run_id, anomaly FROM findings FINAL WHERE NOT retracted ORDER BY run_id, anomaly")
    return [(row["run_id"], row["anomaly"]) for row in rows]


def test_a_run_is_judged_when_it_has_gone_quiet(store: Store, clock: _Clock) -> None:
    loop = AnalysisLoop(store, quiet=2.0, revisits=())
    _insert(store, _REPEATED.format(run="r1"))
    assert loop.run_once() == 0
    clock.now += 1.9
    assert loop.run_once() == 0
    clock.now += 0.2
    assert loop.run_once() == 1
    assert _findings(store) == [("r1", "repeated_effect")]


def test_new_spans_put_the_judgement_off(store: Store, clock: _Clock) -> None:
    loop = AnalysisLoop(store, quiet=2.0, revisits=())
    _insert(store, _REPEATED.format(run="r1"), drop={2})
    loop.run_once()
    clock.now += 1.5
    _insert(store, _REPEATED.format(run="r1"))
    assert loop.run_once() == 0
    clock.now += 1.5
    assert loop.run_once() == 0
    clock.now += 1.0
    assert loop.run_once() == 1


def test_it_is_judged_again_at_each_revisit_and_then_no_more(store: Store, clock: _Clock) -> None:
    """The trace stays the newest of the store, so it is seen at every look; that alone must not judge it again."""
    loop = AnalysisLoop(store, quiet=2.0, revisits=(60.0, 600.0))
    _insert(store, _REPEATED.format(run="r1"))
    judged = []
    for _ in range(400):
        if loop.run_once():
            judged.append(clock.now - 1_000.0)
        clock.now += 5.0
    assert judged == [5.0, 65.0, 605.0]


def test_a_late_span_brings_its_run_back(store: Store, clock: _Clock) -> None:
    loop = AnalysisLoop(store, quiet=2.0, revisits=())
    _insert(store, _REPEATED.format(run="r1"), drop={2})
    loop.run_once()
    clock.now += 3.0
    loop.run_once()
    assert _findings(store) == []
    clock.now += 3_600.0
    _insert(store, _REPEATED.format(run="r1"))
    loop.run_once()
    clock.now += 3.0
    assert loop.run_once() == 1
    assert _findings(store) == [("r1", "repeated_effect")]


def test_a_run_over_several_traces_is_judged_whole(store: Store, clock: _Clock) -> None:
    """Only the second trace is new; the first half of the repeat lies in the one judged before."""
    first = "P1 run(order) run=r1 trace=t1\n  P1 tool(charge) args=o1 effect=write eo=applied target=order/1\n"
    second = "P2 run(order) run=r1 trace=t2\n  P2 tool(charge) args=o1 effect=write eo=applied target=order/1\n"
    loop = AnalysisLoop(store, quiet=2.0, revisits=())
    _insert(store, first)
    loop.run_once(ignore_quiet=True)
    clock.now += 10.0
    loop.run_once()
    _insert(store, second)
    loop.run_once()
    clock.now += 3.0
    assert loop.run_once() == 1
    assert _findings(store) == [("r1", "repeated_effect")]


def test_a_finding_over_two_runs_is_made_although_they_are_judged_apart(store: Store, clock: _Clock) -> None:
    loop = AnalysisLoop(store, quiet=2.0, revisits=())
    for run, process in (("r1", "P1"), ("r2", "P2")):
        _insert(
            store,
            f"{process} run(order) run={run}\n"
            f"  {process} tool(charge) args=o1 effect=write eo=applied key=k1 target=order/1 at={process[1]}00 for=5\n",
        )
        loop.run_once()
        clock.now += 3.0
        loop.run_once()
    assert _findings(store) == [("r2", "repeated_across_runs")]


def test_a_restart_takes_up_what_nobody_judged(store: Store, clock: _Clock) -> None:
    """However long ago it came, and whatever newer run was judged meanwhile."""
    loop = AnalysisLoop(store, quiet=0.0, revisits=())
    _insert(store, _REPEATED.format(run="r1"))
    loop.run_once()
    _insert(store, _REPEATED.format(run="r2"))
    _insert(store, _REPEATED.format(run="r3"))
    store.command(
        "ALTER TABLE steps UPDATE ingested_at = ingested_at - 86400 WHERE run_id = 'r2' SETTINGS mutations_sync = 2"
    )
    again = AnalysisLoop(store, quiet=0.0, revisits=())
    again._resume()
    assert again.run_once() == 2
    assert [run for run, _ in _findings(store)] == ["r1", "r2", "r3"]


def test_a_restart_judges_nothing_twice(store: Store, clock: _Clock) -> None:
    loop = AnalysisLoop(store, quiet=0.0, revisits=())
    _insert(store, _REPEATED.format(run="r1"))
    loop.run_once()
    again = AnalysisLoop(store, quiet=0.0, revisits=())
    again._resume()
    assert not again._due


def _failing(monkeypatch: pytest.MonkeyPatch, fails: Callable[[str], bool]) -> list[tuple[str, ...]]:
    """Make the analysis of some runs fail; the scopes that were asked for."""
    asked: list[tuple[str, ...]] = []
    real = loop_module.analyse

    def analyse(store: Store, scope: Any, config: Any, **how: Any) -> Any:
        asked.append(scope.traces)
        report = real(store, scope, config, **how)
        if any(fails(run) for run in report.runs["run_id"].to_list()):
            raise ZeroDivisionError("a bug")
        return report

    monkeypatch.setattr(loop_module, "analyse", analyse)
    return asked


def test_a_run_that_cannot_be_judged_stops_nobody_else(
    store: Store, clock: _Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _failing(monkeypatch, lambda run: run == "bad")
    loop = AnalysisLoop(store, quiet=0.0, revisits=())
    for run in ("r1", "bad", "r2", "r3"):
        _insert(store, _REPEATED.format(run=run))
    with caplog.at_level(logging.ERROR, "driftline.analysis"):
        loop.run_once()
    assert [run for run, _ in _findings(store)] == ["r1", "r2", "r3"]
    assert sum("cannot be judged" in line for line in caplog.messages) == 1


def test_a_failure_is_not_repeated_at_every_look(store: Store, clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _failing(monkeypatch, lambda run: True)
    loop = AnalysisLoop(store, quiet=0.0, revisits=(60.0,))
    _insert(store, _REPEATED.format(run="r1"))
    for _ in range(20):
        loop.run_once()
        clock.now += 1.0
    tried = len(asked)
    for _ in range(20):
        loop.run_once()
        clock.now += 1.0
    assert tried == len(asked) > 0


def test_a_failing_detector_leaves_the_others_their_say(
    store: Store, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from driftline.analyzers import engine

    def fail(record: Any, config: Any) -> Any:
        raise ZeroDivisionError("a bug")

    every = engine.detectors()
    broken = tuple(
        type(d)(d.name, d.prefix, d.anomalies, fail if d.name == "stale_context" else d.analyse) for d in every
    )
    monkeypatch.setattr(engine, "detectors", lambda: broken)
    loop = AnalysisLoop(store, quiet=0.0, revisits=())
    _insert(store, _REPEATED.format(run="r1"))
    loop.run_once()
    assert _findings(store) == [("r1", "repeated_effect")]
    reasons = store.rows(
        "SELECT run_id, reason FROM not_checked FINAL WHERE detector = 'stale_context' AND NOT retracted"
    )
    assert [(row["run_id"], "ZeroDivisionError: a bug" in row["reason"]) for row in reasons] == [("r1", True)]


def test_an_outage_leaves_what_is_due_due(store: Store, clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store does not answer nothing is wrong with the runs: they wait, and none is given up."""
    loop = AnalysisLoop(store, quiet=0.0, revisits=())
    _insert(store, _REPEATED.format(run="r1"))

    def down(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no store")

    with monkeypatch.context() as patch:
        patch.setattr(loop_module, "analyse", down)
        patch.setattr(type(store), "value", down)
        assert loop._try_once() is False
    assert loop.run_once() == 1
    assert _findings(store) == [("r1", "repeated_effect")]


def test_the_thread_outlives_a_failure_and_ends_when_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()
    calls: list[int] = []

    def once(self: AnalysisLoop, *, ignore_quiet: bool = False) -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError("no store")
        seen.set()
        return 0

    monkeypatch.setattr(AnalysisLoop, "run_once", once)
    loop = AnalysisLoop(store, poll=0.01)
    loop.start()
    assert seen.wait(30)
    loop.stop()
    assert loop._thread is not None and not loop._thread.is_alive()


def test_a_project_at_rest_is_left_alone(store: Store, clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is asked when something was stored, when something is due, and now and then; a failure is no look."""
    stored, asked = [0], [0]
    loop = AnalysisLoop(store, quiet=2.0, revisits=(), stored=lambda: stored[0])
    run_once = loop.run_once

    def counted(**how: Any) -> int:
        asked[0] += 1
        if asked[0] == 5:
            raise ConnectionError("away")
        return run_once(**how)

    monkeypatch.setattr(loop, "run_once", counted)

    def looks(times: int) -> int:
        before = asked[0]
        for _ in range(times):
            loop._try_once()
        return asked[0] - before

    assert looks(5) == 1, "the first look"
    _insert(store, _REPEATED.format(run="r1"))
    stored[0] += 3
    assert looks(5) == 1, "something was stored"
    clock.now += 2.1
    assert looks(5) == 1, "something is due"
    assert _findings(store) != []
    assert looks(5) == 0
    clock.now += 31
    assert looks(1) == 1, "others may write, too"
    clock.now += 31
    assert looks(3) == 2, "what failed is tried again"
