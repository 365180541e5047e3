"""Two writes that claim one version, on the page of the finding that the detector makes of them."""

from __future__ import annotations

import histories
from fastapi.testclient import TestClient
from history_otlp import framed

from driftline.analyzers import analyse, persist
from driftline.web import create_app

_HISTORY = """
P1 run(report) outcome=complete
  P1 agent(planner)
    P1 write(notes/plan@v1 <- init)
    P1 write(notes/plan@v2 <- v1)
P2 agent(writer)
  P2 write(notes/plan@v2 <- v1)
"""


def test_the_page_lists_the_writes_with_their_spans() -> None:
    """A table, not the raw evidence: who wrote, from what, and the way to each write in the run."""
    store = histories.fresh_store()
    store.insert_requests(framed(histories.requests(_HISTORY)), "claims")
    report = analyse(store)
    persist(store, report)
    (finding,) = [one for one in report.findings if one.anomaly == "duplicate_version"]
    page = TestClient(create_app(store)).get(f"/findings/{finding.id}/{finding.run_id}").text
    assert "Writes that claim" in page
    assert "notes/plan@v2" in page
    for agent in ("planner", "writer"):
        assert f'<td><bdi dir="auto">{agent}</bdi></td>' in page
    for span in finding.spans:
        assert f"span={span.trace_id}-{span.span_id}" in page
