"""Findings that the detector itself makes, on their pages: one of every anomaly, with its evidence and its doubts."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass

import histories
import pytest
from fastapi.testclient import TestClient
from history_otlp import framed

from driftline.analyzers import Report, analyse, persist
from driftline.analyzers.finding import Finding
from driftline.web import create_app
from driftline.web.evidence.partial_completion import view

_MESSAGES = "\n".join(f"  P1 send(q) msgid=m{n} at={n * 10} for=1 #m{n}" for n in range(20))
_TAKEN = "\n".join(f"P2 process(q) run=sent msgid=m{n} at={n * 10 + 3} for=2 #m{n}" for n in range(20))
_RUNS = {
    "false_success": """
P1 run(trip) run=said outcome=complete expects=tool:book,tool:pay*2,agent:reviewer
  P1 agent(planner)
    P1 tool(book) effect=write eo=applied target=order/1
    P1 tool(pay) effect=write error=CardDeclined target=order/1
""",
    "missing_step": """
P1 run(trip) run=quiet expects=validate:price
  P1 agent(planner)
""",
    "incomplete_fan_out": """
P1 run(trip) run=spread outcome=complete
  P1 step(fetch) stay #a
  P1 step(fetch) stay error=Boom #b
  P1 end #a
  P1 end #b
""",
    "swallowed_failure": """
P1 run(trip) run=vanished outcome=complete
  P1 step(pay)
    P1 tool(charge) effect=write error=CardDeclined target=order/7
  P1 step(mail)
""",
    "unfinished_step": """
P1 run(trip) run=open outcome=complete
  P1 agent(reviewer) open
""",
    "unconsumed_message": f"""
P1 run(trip) run=sent outcome=complete at=0 for=61000
{_MESSAGES}
  P1 send(q) msgid=late at=300 for=1
{_TAKEN}
""",
    "empty_result": """
P1 run(trip) run=short outcome=complete
  P1 agent(writer)
    P1 llm(m) finish=length
""",
}


@dataclass
class Shown:
    """The report of those runs, and the pages over it."""

    report: Report
    client: TestClient

    def page_of(self, anomaly: str) -> tuple[Finding, str]:
        """The detector's finding of *anomaly*, and the address of its page."""
        found = next(f for f in self.report.findings if (f.detector, f.anomaly) == ("partial_completion", anomaly))
        return found, f"/findings/{found.id}/{found.run_id}"


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """Runs with one defect each, judged and persisted as the analysis loop does it."""
    store = histories.fresh_store()
    texts = [text.replace("P1", f"P1-{name}").replace("P2", f"P2-{name}") for name, text in _RUNS.items()]
    store.insert_requests(framed([batch for text in texts for batch in histories.requests(text)]), "runs")
    report = analyse(store)
    persist(store, report)
    with TestClient(create_app(store), raise_server_exceptions=True) as client:
        yield Shown(report, client)


@pytest.mark.parametrize("anomaly", sorted(_RUNS))
def test_every_anomaly_is_found_and_has_a_page_that_argues(shown: Shown, anomaly: str) -> None:
    """Title, claim and conclusion are on the page; every span the finding rests on is linked."""
    finding, address = shown.page_of(anomaly)
    page = shown.client.get(address)
    assert page.status_code == 200
    text = html.unescape(page.text)
    assert finding.title in text
    assert finding.explanation.however in text
    for span in finding.spans:
        assert f"span={span.trace_id}-{span.span_id}" in text
    twin = shown.client.get(f"{address}.json").json()
    assert twin["finding"] == finding.to_json()


@pytest.mark.parametrize("anomaly", sorted(_RUNS))
def test_what_keeps_a_finding_from_being_proved_stands_on_its_page(shown: Shown, anomaly: str) -> None:
    """`possible` always says why; `definite` has nothing to say there."""
    finding, address = shown.page_of(anomaly)
    text = html.unescape(shown.client.get(address).text)
    assert ("Why it is not proved" in text) == (finding.grade == "possible")
    assert all(doubt in text for doubt in finding.evidence["doubts"])


def test_the_course_shows_every_promise_with_what_became_of_it(shown: Shown) -> None:
    """What was kept, what failed and what never happened, in the order of the promises."""
    _, address = shown.page_of("false_success")
    view = shown.client.get(f"{address}.json").json()["evidence"]["view"]
    assert [(step["name"], step["said"]) for step in view["course"]] == [
        ("book", "done"),
        ("pay", "failed"),
        ("reviewer", "never happened"),
    ]
    assert view["course"][1]["note"] == "CardDeclined"


def test_a_vanished_failure_shows_what_came_after_it(shown: Shown) -> None:
    """The failed call with its effect and target."""
    _, address = shown.page_of("swallowed_failure")
    view = shown.client.get(f"{address}.json").json()["evidence"]["view"]
    facts = {fact["name"]: fact["text"] for fact in view["facts"]}
    assert facts["Failed"] == "charge (CardDeclined)"
    assert facts["Effect"] == "write (by its span)"
    assert facts["Acted on"] == "order/7"
    assert facts["Says complete"] == "the run"


def test_evidence_that_lacks_members_is_drawn_without_them() -> None:
    """An older or other detector may leave out what this page knows."""
    bare = view({"evidence": {"failed": {"name": "charge"}, "course": [{"state": "failed"}, "no step"]}}, {})
    assert bare is not None
    assert [fact.text for fact in bare.facts] == ["charge"]
    assert [(step.name, step.said) for step in bare.course] == [("", "failed")]
    assert view({"evidence": {"something": 1}}, {}) is None
