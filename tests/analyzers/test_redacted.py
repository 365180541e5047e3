"""Detectors over a store that redacts: what they prove from digests and names they prove there too, no more."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import histories
import pytest
import shared_store
from cases import read_cases
from history_batch import Judged, judge_each

from driftline._redaction_rules import CONTENT, parse_rules
from driftline.analyzers import install_views
from driftline.collector.redaction import wanted
from driftline.collector.store import open_store

_CASES = [case for case in read_cases() if not case.configured and not case.unknown]
# They rest on what the text of arguments or results says, which is gone. What was a repeat is possible then, what was
# told by resemblance is not told.
_BY_TEXT = {
    "A tool's error handed to the model as its result", "Undone through what the result names",
    "The same intent, told by resemblance",
}  # fmt: skip


def said(judged: list[Judged]) -> list[set[tuple[str, ...]]]:
    return [{(one.id, one.anomaly, one.grade, one.subject, one.title) for one in each.said} for each in judged]


def requests() -> list[list[object]]:
    return [list(histories.requests(case.history)) for case in _CASES]


@pytest.fixture(scope="module")
def raw() -> Iterator[list[set[tuple[str, ...]]]]:
    yield said(judge_each(requests()))  # type: ignore[arg-type]
    shared_store.close_shared_store()


@pytest.mark.parametrize("action", ["mask", "drop"])
def test_the_same_is_found(action: str, raw: list[set[tuple[str, ...]]]) -> None:
    """Kind, grade, subject, title and fingerprint, over every case; where text is needed, nothing gets more certain."""
    shared_store.close_shared_store()
    folder = tempfile.TemporaryDirectory(prefix="driftline-test-")
    rules = parse_rules([{"keys": list(CONTENT), "action": action}, {"preset": "secrets", "action": action}], "test")
    store = open_store(folder.name, redaction=wanted(rules, Path(folder.name)))
    install_views(store)
    shared_store._shared.append((folder, store))  # so that the histories go into this one
    try:
        redacted = said(judge_each(requests()))  # type: ignore[arg-type]
        held = store.value("SELECT countIf(SpanAttributes['gen_ai.tool.call.arguments'] LIKE '{%') FROM otel_traces")
        assert held == 0, "arguments were stored"
    finally:
        shared_store.close_shared_store()
    differ = {case.title: (one, other) for case, one, other in zip(_CASES, raw, redacted, strict=True) if one != other}
    assert set(differ) <= _BY_TEXT
    assert all(grade == "possible" for one, other in differ.values() for _, _, grade, *_ in other - one)
