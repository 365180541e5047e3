"""DRIFTLINE_API_KEY: who hears it."""

from __future__ import annotations

import pytest

from driftline._export import _key, _session

OURS = "http://127.0.0.1:4318/v1/traces"


def test_the_key_goes_to_our_endpoint_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the standard variables lead may be anybody's collector, which must not learn it."""
    monkeypatch.setenv("DRIFTLINE_API_KEY", " a-key\n")
    ours, theirs = _session(), _session()
    assert ours is not None
    assert theirs is not None
    assert _key(ours, OURS) is None
    assert _key(theirs, None) is None
    assert ours.headers["Authorization"] == "Bearer a-key"
    assert "Authorization" not in theirs.headers


def test_an_exporter_without_our_session_gets_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the standard variable says another, which a header of ours would hide."""
    monkeypatch.setenv("DRIFTLINE_API_KEY", "a-key")
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_HEADERS", raising=False)
    assert _key(None, OURS) == {"authorization": "Bearer a-key"}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer other")
    assert _key(None, OURS) is None
    monkeypatch.delenv("DRIFTLINE_API_KEY")
    assert _key(None, OURS) is None
