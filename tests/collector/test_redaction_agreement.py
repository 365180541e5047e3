"""One set of rules, two engines: ClickHouse in the views and Python in the SDK take the same from the same text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared_store import fresh_store

from driftline._redaction import Redactor
from driftline._redaction_rules import parse_rules
from driftline.collector.redaction import _pads
from driftline.collector.redaction_sql import KEY, RedactionSql
from driftline.collector.store import Store

SECRET = "k" * 64
RULES: list[list[dict[str, Any]]] = [
    [{"preset": "secrets"}, {"preset": "emails", "action": "hash"}, {"preset": "credit_cards"}],
    [{"preset": "secrets", "action": "hash"}, {"keys": ["user.*"], "action": "drop"}],
    [{"preset": "secrets", "action": "drop"}, {"keys": ["*"], "except": ["k", "pass*"], "action": "hash"}],
    [{"pattern": r"(?i)\bab?[^c\s]+$", "action": "hash"}, {"pattern": r"^x|[\]\[]\S", "where": ["span", "log"]}],
    [{"pattern": "d+", "action": "drop", "except": "k"}, {"keys": ["driftline.x", "?"], "pattern": "[0-9]"}],
    [{"keys": ["gen_ai.tool.call.result", "secret"], "action": "drop"}, {"pattern": "é|\U0001f600", "action": "hash"}],
]
KEYS = ("k", "user.name", "Authorization", "driftline.x", "gen_ai.tool.call.result", "password", "dd")
# Pieces that rules look for, JSON signs, and whatever else; put together they come close to what is sent.
PIECES = st.sampled_from(
    ["password", "secret", "PassWord", '"', "\\", '\\"', "'", "{", "}", "[", "]", ":", ",", " ", "\n", "a@b.co", "é",
     "4111 1111 1111 1111", "sk-abcdefghijklmnop1234", "null", "12.5e3", "Bearer abcdefghijkl", "\U0001f600", "abcab",
     "x", "d", "user.name", "\ufdd0", "\ufdd1", "\t", "\x0b", "http://u:p@h", "token=abc", "$"]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=14).map("".join)
NAMES = st.sampled_from(["password", "user.name", "a", "api_key", "secret", "x y", "é"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | TEXTS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=8,
)
VALUES = (
    TEXTS
    | DOCUMENTS.map(json.dumps)
    | DOCUMENTS.map(lambda found: json.dumps({"input": json.dumps(found, ensure_ascii=False)}))
    | DOCUMENTS.map(repr)
    | st.tuples(DOCUMENTS, st.integers(0, 60)).map(lambda found: json.dumps(found[0])[: found[1]])
).map(lambda text: text.encode("utf-8", "replace").decode())


@pytest.fixture(scope="module")
def store() -> Store:
    return fresh_store()


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.lists(VALUES, min_size=1, max_size=40), number=st.sampled_from(range(len(RULES))))
def test_both_take_the_same(store: Store, values: list[str], number: int) -> None:
    """Attributes, names, bodies: of any text, under any key, at every place that a rule may name."""
    rules = parse_rules(RULES[number], "test")
    python, sql = Redactor(rules, SECRET), RedactionSql(rules)
    for place, key in (("span", KEYS[number]), ("log", KEYS[-1 - number]), ("event", "k")):
        found = _by_clickhouse(store, sql, place, key, values)
        expected = [
            (
                python.attributes(place, {key: value}),  # type: ignore[arg-type]
                python.text(place, value),  # type: ignore[arg-type]
                python.keyed_text(place, "log.body", value),  # type: ignore[arg-type]
            )
            for value in values
        ]
        assert _unmarked(found) == _unmarked(expected)


def _unmarked(found: list[Any]) -> str:
    """But for the two signs that stand around what is to be hashed: texts that have them themselves may lose them."""
    return repr(found).replace("\\ufdd0", "").replace("\\ufdd1", "")


def _by_clickhouse(store: Store, sql: RedactionSql, place: Any, key: str, values: list[str]) -> list[Any]:
    pads = f"unhex('{_pads(SECRET).hex()}')"
    statement = (
        f"SELECT {sql.attributes(place, 'm')} AS attributes, {sql.text(place, 'x')} AS text, "
        f"{sql.keyed_text(place, 'log.body', 'x')} AS body "
        f"FROM (SELECT *, {sql.finds(['x', 'k'])} AS found FROM (SELECT JSONExtractString(v, 'x') AS x, "
        "{k:String} AS k, map(k, x)::Map(LowCardinality(String), String) AS m, JSONExtractUInt(v, 'n') AS n "
        "FROM (SELECT arrayJoin({values:Array(String)}) AS v))) ORDER BY n"
    ).replace(KEY, pads)
    sent = [json.dumps({"x": value, "n": place}) for place, value in enumerate(values)]
    rows = store.rows(statement, {"values": sent, "k": key})
    return [(dict(row["attributes"]), row["text"], row["body"]) for row in rows]


@pytest.mark.parametrize("number", range(len(RULES)))
def test_what_one_finds_the_look_before_finds_too(store: Store, number: int) -> None:
    """The one look at all texts of a row lets nothing pass that a rule would take."""
    rules = parse_rules(RULES[number], "test")
    python, sql = Redactor(rules, SECRET), RedactionSql(rules)
    texts = [
        "abcab",
        "x",
        "a@b.co",
        "dd",
        '{"password":1}',
        "{'secret': 1}",
        "4111111111111111",
        "é",
        "a\nx",
        "[z",
        "no",
    ]
    for text in texts:
        if python.text("span", text) != text:
            # Between other texts, as it stands in a row.
            look = sql.finds(["'before'", "x", "'after'"])
            assert store.value(f"SELECT {look} FROM (SELECT {{x:String}} AS x)", {"x": text}) == 1, text
