"""A store without spans teaches how to send the first."""

from __future__ import annotations

import histories
from fastapi.testclient import TestClient

from driftline.web import create_app


def test_an_empty_store_shows_how_to_send_a_first_span() -> None:
    client = TestClient(create_app(histories.fresh_store()))
    page = client.get("/").text
    assert "driftline.init()" in page
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://testserver:4318" in page
    assert 'hx-trigger="every 2s"' in page
    assert client.get("/overview.json").json()["verdict"]["tone"] == "empty"
    assert "No run has been judged yet" in client.get("/runs").text
    assert client.get("/findings").status_code == 200
