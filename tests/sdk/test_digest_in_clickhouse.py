"""One call, told by two SDKs: a span with content and no digest gets, in ClickHouse, the digest that ours sends."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from history_otlp import framed
from otlp_requests import request, span
from shared_store import fresh_store

from driftline.canonical import digest

EQUAL: list[Any] = [
    {}, {"a": 1}, {"b": 1, "a": 2}, {"a": {"d": 1, "c": [1, {"f": 2, "e": 3}]}}, {"order": "991", "cents": 1200},
    {"a": 1.0}, {"a": 0.1}, {"a": 1e-7}, {"a": 1e16}, {"a": 123456789012345680000.0}, {"a": 333333333.33333329},
    {"a": 0.000001}, {"a": 5e-324}, {"a": 2**53}, {"a": -(2**53)}, {"a": [1, 2.5, "x"]}, {"a": [1.0, 2.0]},
    {"a": True}, {"a": False}, {"a": [True, False]}, {"a": []}, {"a": ""}, {"": 1}, {"a b": 1}, {"a.b": 1},
    {"A": 1, "a": 2, "_": 3, "1": 4}, {"ü": "ö"}, {"z": 1, "é": 2}, {"a": "😀 x/y"}, {"a": "\\/ \" \n\t"},
    {"a": "2026-01-02"}, {"a": "2026-01-02T03:04:05Z"}, {"a": ["2026-01-02", "x"]}, {"a": "0123"},
    {"a": "1"}, {"a": "true"}, {"a": "127.0.0.1"}, [], [1, 2, 3], [1, "a"], [1, 1.5], [[1], [2]], [{"b": 1, "a": 2}],
    ["2026-01-02T03:04:05Z"], "hello", "two\nlines", "with \"quotes\" and /", "ü😀",
]  # fmt: skip
# What the engine's JSON type cannot hold apart, or writes its own way. Two spans of one such call, one of ours and one
# of another SDK, are not seen to be equal: a repeat may be missed, none is invented.
OTHERWISE: list[Any] = [
    {"a": None}, {"a": {}}, {"a": [{"b": None}]}, {"a": -0.0}, {"a": 1e21}, {"a": 1.5e300}, {"a": 2**53 + 1},
    {"😀": 1, "｡": 2}, {"a": [1, True]}, {"a": "\u001f"}, {"a": "\u2028"},
]  # fmt: skip


def _digests(values: list[str]) -> list[str]:
    """What the `steps` view says of calls with these arguments."""
    store = fresh_store()
    spans = [
        span(
            "execute_tool t",
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t", "gen_ai.tool.call.arguments": text},
            number=number,
        )
        for number, text in enumerate(values, start=1)
    ]
    store.insert_requests(framed([request(*spans)]), uuid.uuid4().hex)
    frame = store.frame("SELECT args_digest FROM steps FINAL ORDER BY span_id", {})
    return [str(found) for found in frame["args_digest"].to_list()]


def _text(value: Any, **how: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, **how)


@pytest.mark.parametrize("ensure_ascii", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
def test_the_same_digest(ensure_ascii: bool, indent: int | None) -> None:
    """On what tools are given every day, written spaciously or not."""
    texts = [_text(value, ensure_ascii=ensure_ascii, indent=indent) for value in EQUAL]
    found = _digests(texts)
    assert [text for text, one, value in zip(texts, found, EQUAL, strict=True) if one != digest(value)] == []


def test_where_it_differs_nothing_is_confused() -> None:
    """Values the engine writes otherwise still have a digest, the same at each call, and no other value's."""
    texts = [_text(value) for value in OTHERWISE]
    found = _digests(texts * 2)
    once, again = found[: len(texts)], found[len(texts) :]
    assert once == again
    assert "" not in once
    ordinary = {digest(value) for value in EQUAL if value != {} and value != {"a": [{}]}}
    assert not ordinary & set(once)


def test_what_is_lost_in_an_object() -> None:
    """The engine drops members that are null or `{}`; how many it dropped still tells such a value from one without."""
    null, again, without, empty = _digests(
        ['{"a": 1, "b": null}', '{"b":null,"a":1.0}', '{"a": 1}', '{"a": 1, "b": {"c": {}}}']
    )
    assert null == again
    assert without == digest({"a": 1})
    assert without not in (null, empty)
    assert [digest({"a": "null {}"})] == _digests(['{"a": "null {}"}']), "text that only looks so is lost nowhere"


def test_a_digest_that_was_sent_wins() -> None:
    """Ours is of the whole value; what can be computed from cut or rewritten content is not put in its place."""
    store = fresh_store()
    said = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.call.arguments": '{"a": null}',
        "driftline.call.args_digest": digest({"a": None}),
    }
    store.insert_requests(framed([request(span("execute_tool t", said))]), uuid.uuid4().hex)
    assert store.frame("SELECT args_digest FROM steps", {})["args_digest"].to_list() == [digest({"a": None})]
