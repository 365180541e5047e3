"""Rules of redaction: what may be written, and what is said of what may not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from driftline._redaction import Redactor
from driftline._redaction_language import InvalidRedaction
from driftline._redaction_rules import MASK, parse_rules, to_json

KEY = "0" * 64


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"patern": "x"}, "unknown member 'patern'; did you mean 'pattern'?"),
        ({"pattern": "x", "action": "hide"}, "action = 'hide'"),
        ({"pattern": "x", "where": "spans"}, "where = 'spans'; did you mean 'span'?"),
        ({"action": "mask"}, "looks for nothing"),
        ({"keys": [1]}, "1 is no key"),
        ({"keys": {"a": 1}}, "keys = {'a': 1}"),
        ({"preset": "mails"}, "did you mean 'emails'?"),
        ({"pattern": "(?=x)y"}, "a look-around"),
        ({"pattern": "(?<!x)y"}, "a look-around"),
        ({"pattern": r"(a)\1"}, r"has '\\\\1'"),
        ({"pattern": "(?P<n>a)(?P=n)"}, "a back-reference"),
        ({"pattern": "(a)?(?(1)b|c)"}, "a condition on a group"),
        ({"pattern": "a{1001}"}, "RE2 allows 1000"),
        ({"pattern": "x*"}, "matches where nothing is"),
        ({"pattern": r"\b"}, "matches where nothing is"),
        ({"pattern": "("}, "cannot be read"),
        ({"pattern": r"a\Z"}, r"use \^ or \$"),
        ({"pattern": r"\u00e9"}, "write the character itself"),
        ({"pattern": "[[:alpha:]]+"}, "write the characters of the class"),
        ({"pattern": "(?x) a b"}, "other flags than i, m and s"),
        ({"pattern": ""}, "RE2's syntax"),
        ("secrets", "is no table"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_said(rule: Any, said: str) -> None:
    """Each error names the file, the rule by its number, and what to do."""
    with pytest.raises(InvalidRedaction, match=said) as error:
        parse_rules([{"preset": "emails"}, rule], "driftline.toml")
    assert "driftline.toml: redact, rule 2" in error.value.what
    assert error.value.todo


def test_rules_survive_being_written_down() -> None:
    """What the store keeps of the rules makes the same rules."""
    rules = parse_rules(
        [
            {"preset": ["secrets", "emails", "credit_cards"], "action": "hash"},
            {"keys": "a*", "pattern": "x+", "where": ["log", "status"], "except": "ab", "action": "drop"},
        ],
        "test",
    )
    assert parse_rules(to_json(rules), "the store") == rules


@pytest.mark.parametrize(
    ("preset", "text"),
    [
        ("secrets", "use sk-proj-abcdefghijklmnopqrstuvwxyz"), ("secrets", "AKIAIOSFODNN7EXAMPLE"),
        ("secrets", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.s5x"), ("secrets", "Authorization: Bearer abcdef123456"),
        ("secrets", "postgres://user:hunter2@host/db"), ("secrets", 'password = "hunter2"'),
        ("secrets", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
        ("secrets", "ghp_" + "a" * 36), ("secrets", '{"a":[{"client_secret":"hunter2"}]}'),
        ("emails", "write to jane.doe+x@mail.example.co.uk now"), ("credit_cards", "4111-1111-1111-1111"),
        ("credit_cards", "378282246310005"), ("credit_cards", "5500 0000 0000 0004"),
    ],
)  # fmt: skip
def test_presets_find_what_they_are_for(preset: str, text: str) -> None:
    """And leave a mask."""
    left = Redactor(parse_rules([{"preset": preset}], "test"), KEY).value("span", "k", text)
    assert MASK in left
    assert not re.search(r"hunter2|jane|1111-1111|8282|0000 0004|MIIE|a{30}|IOSFODNN7|abcdef123456|zdWIi", left)


@pytest.mark.parametrize("preset", ["secrets", "emails", "credit_cards"])
def test_presets_leave_alone_what_agents_say_of_themselves(preset: str) -> None:
    """Counts of tokens, ids, versions and ordinary text stay."""
    redactor = Redactor(parse_rules([{"preset": preset}], "test"), KEY)
    said = {
        "gen_ai.usage.input_tokens": "1200", "gen_ai.token.type": "input", "driftline.call.args_digest": "ab" * 16,
        "driftline.effect.used": '["notes/plan@v4"]', "text": "ask for the secret of good bread",
        "t": "1790000000000000", "id": "123e4567-e89b-12d3-a456-426614174000",
    }  # fmt: skip
    assert redactor.attributes("span", said) == said


def test_wildcards_do_not_reach_our_own_vocabulary() -> None:
    """What the judgement rests on is taken only by who names it."""
    said = {"driftline.seq": "1", "user": "jane"}
    assert Redactor(parse_rules([{"keys": "*"}], "t"), KEY).attributes("span", said) == {**said, "user": MASK}
    named = Redactor(parse_rules([{"keys": "driftline.s*"}], "t"), KEY)
    assert named.attributes("span", said) == {**said, "driftline.seq": MASK}
