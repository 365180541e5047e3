"""A stored report: one row a finding, taken back only by a report that saw the same spans, never for late ones."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import histories
import pytest
from histories import framed, fresh_store, requests

from driftline.analyzers import Config, Report, Scope, analyse, persist
from driftline.collector.store import Store

_REPEATED = """
P1 run(order)
  P1 tool(charge) args=o1 effect=write eo=applied call=c1 target=order/1
  P1 tool(charge) args=o1 effect=write eo=applied call=c2 target=order/1
"""


@pytest.fixture
def store() -> Store:
    return fresh_store()


def _insert(store: Store, text: str, **how: Any) -> None:
    store.insert_requests(framed(requests(text, **how)), secrets.token_hex(8))


def _judge(store: Store, scope: Scope | None = None, config: Config | None = None) -> Report:
    report = analyse(store, scope, config)
    persist(store, report)
    return report


def _standing(store: Store) -> list[dict[str, Any]]:
    return store.rows(
        "SELECT run_id, fingerprint, grade, severity FROM findings FINAL WHERE NOT retracted ORDER BY run_id"
    )


def test_a_finding_judged_twice_is_stored_once(store: Store) -> None:
    _insert(store, _REPEATED)
    _judge(store)
    _judge(store)
    assert len(_standing(store)) == 1
    assert store.value("SELECT count() FROM runs FINAL") == 1


def test_what_a_new_configuration_does_not_say_is_taken_back(store: Store) -> None:
    _insert(store, _REPEATED)
    _judge(store)
    _judge(store, config=Config(severity={"duplicate_effect": "off"}))
    assert _standing(store) == []
    assert store.value("SELECT count() FROM findings FINAL WHERE retracted") == 1


def test_a_finding_said_again_stands_again(store: Store) -> None:
    _insert(store, _REPEATED)
    _judge(store)
    _judge(store, config=Config(severity={"duplicate_effect": "off"}))
    _judge(store)
    assert len(_standing(store)) == 1


def test_a_definite_finding_survives_late_spans(store: Store) -> None:
    """A refund in a run of its own comes later: the harm is less, the finding stays."""
    _insert(store, _REPEATED)
    _judge(store)
    before = _standing(store)
    _insert(store, "P9 run(cleanup) run=r9\n  P9 tool(refund) args=p2 effect=write eo=applied undoes=c2\n")
    _judge(store)
    after = _standing(store)
    assert [(row["grade"], row["severity"]) for row in before] == [("definite", "error")]
    assert [(row["grade"], row["severity"]) for row in after] == [("definite", "info")]
    assert [row["fingerprint"] for row in before] == [row["fingerprint"] for row in after]


def test_a_finding_is_not_taken_back_by_a_report_that_did_not_see_its_other_half(store: Store) -> None:
    """A repeat over two runs rests on both; judging the second alone proves nothing against it."""
    text = """
P1 run(order) run=r1
  P1 tool(charge) args=o1 effect=write eo=applied key=k1 target=order/1
P2 run(order) run=r2
  P2 tool(charge) args=o1 effect=write eo=applied key=k1 target=order/1
"""
    _insert(store, text)
    report = _judge(store)
    (found,) = report.findings
    alone = report.trace_runs.filter(report.trace_runs["run_id"] == found.run_id)["trace_id"].to_list()
    _judge(store, Scope(traces=tuple(alone)))
    assert len(_standing(store)) == 1


def test_a_detector_that_failed_takes_nothing_back(store: Store) -> None:
    _insert(store, _REPEATED)
    report = _judge(store)
    persist(store, replace(report, findings=(), failed=("duplicate_effect",)))
    assert len(_standing(store)) == 1
    persist(store, replace(report, findings=()))
    assert _standing(store) == []


def test_what_was_not_checked_goes_when_it_was(store: Store) -> None:
    text = "P1 run(order)\n  P1 tool(frobnicate) args=a\n  P1 tool(frobnicate) args=a\n"
    _insert(store, text)
    _judge(store)
    open_reasons = "SELECT count() FROM not_checked FINAL WHERE NOT retracted AND detector = 'duplicate_effect'"
    assert store.value(open_reasons) == 1
    persist(store, replace(analyse(store), not_checked=()))
    assert store.value(open_reasons) == 0


def test_a_run_that_a_late_link_joins_to_another_is_no_run_any_more(store: Store) -> None:
    """Two traces without run ids are two runs until the receipt that links them arrives."""
    text = """
P1 span(first) run=- trace=t1
  P1 tool(charge) args=o1 effect=write eo=applied target=order/1 run=- trace=t1
  P1 send(q) run=- trace=t1 #m1
P2 span(second) run=- trace=t2
  P2 process(q) run=- trace=t2 #m1
  P2 tool(charge) args=o1 effect=write eo=applied target=order/1 run=- trace=t2
"""
    link = next(place for place, span in enumerate(histories.parse(text)) if span.what == "process")
    _insert(store, text, drop={link})
    assert _judge(store).runs.height == 2
    _insert(store, text)
    assert _judge(store).runs.height == 1
    runs = store.rows("SELECT run_id FROM runs FINAL")
    assert len(runs) == 1
    assert store.rows("SELECT DISTINCT run_id FROM run_traces FINAL") == runs
    assert {row["run_id"] for row in _standing(store)} <= {row["run_id"] for row in runs}
