"""Canonical JSON: RFC 8785 where the value is JSON, and one form for equal values everywhere else."""

from __future__ import annotations

import dataclasses
import decimal
import enum
import json
import math
import pathlib
import random
import uuid
from datetime import date, datetime, timezone
from typing import Any

import numpy as np
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from driftline.canonical import NotCanonical, canonical_json, digest

_text = st.text(st.characters(exclude_categories=["Cs"]))
_numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | _numbers | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=20,
)


@given(_json)
def test_equals_the_reference_implementation(value: Any) -> None:
    """On everything that is JSON the form is the one RFC 8785 prescribes."""
    assert rfc8785.dumps(value) == canonical_json(value).encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_as_ecmascript_writes_them(value: float) -> None:
    """Any finite double, denormal or huge, has the reference form and reads back as itself."""
    assert rfc8785.dumps(value).decode() == canonical_json(value)
    assert value == float(canonical_json(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1"), (1e21, "1e+21"), (1e-7, "1e-7"), (0.000001, "0.000001"),
        (123456789012345680000.0, "123456789012345680000"), (5e-324, "5e-324"), (1.7976931348623157e308,
        "1.7976931348623157e+308"), (333333333.33333329, "333333333.3333333"), (4.5, "4.5"), (2e-3, "0.002"),
    ],
)  # fmt: skip
def test_known_numbers(value: float, text: str) -> None:
    """The numbers of the RFC's appendix, and the turning points between its notations."""
    assert text == canonical_json(value)


@given(st.dictionaries(_text, _json, min_size=2, max_size=6), st.randoms())
def test_key_order_does_not_matter(value: dict[str, Any], randomness: random.Random) -> None:
    """Members in any order give one digest."""
    members = list(value.items())
    randomness.shuffle(members)
    assert digest(value) == digest(dict(members))


@given(st.dictionaries(_text, _json, max_size=4) | st.lists(_json, max_size=4))
def test_json_text_counts_as_its_value(value: Any) -> None:
    """An object or array, as a value, as compact and as spacious text: one digest."""
    assert digest(value) == digest(json.dumps(value)) == digest("\n " + json.dumps(value, indent=2, ensure_ascii=False))


@given(_json, _json)
def test_different_values_differ(one: Any, other: Any) -> None:
    """Two values of different canonical text have different digests; the same text, the same."""
    assert (canonical_json(one) == canonical_json(other)) == (rfc8785.dumps(one) == rfc8785.dumps(other))


def test_text_that_is_no_object_or_array_counts_as_text() -> None:
    """Only objects and arrays are read: the text 5 is not the number 5."""
    assert digest("5") != digest(5)
    assert digest('"a"') != digest("a")
    assert digest("{broken") == digest("{broken")
    assert digest('{"a": NaN}') == digest('{"a": NaN}')
    assert digest("") != digest(None)


def test_a_digest_is_32_hex_digits() -> None:
    """The first half of SHA-256, of the canonical text."""
    assert "44136fa355b3678a1146ad16f7e8649e" == digest({}) == digest("{}")


@dataclasses.dataclass
class Order:
    number: int
    note: str = ""


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Model:
    """As pydantic's models look from outside."""

    def model_dump(self, mode: str) -> dict[str, Any]:
        assert mode == "json"
        return {"number": 1, "note": ""}


@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("ba"), ["a", "b"]),
        ({"a": 1}.keys(), ["a"]),
        (b"\x01\xff", "01ff"),
        (Order(1), {"number": 1, "note": ""}),
        (Model(), {"number": 1, "note": ""}),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (True, True),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, tzinfo=timezone.utc), "2026-01-02T03:00:00+00:00"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        ({1: "x"}, {"1": "x"}),
        ({None: 1, True: 2}, {"null": 1, "true": 2}),
        (2**53 + 1, str(2**53 + 1)),
        (np.int64(7), 7),
        (np.float64(0.5), 0.5),
        ([10**5000], [hex(10**5000)]),
    ],
)
def test_what_json_lacks_has_one_form(value: Any, same_as: Any) -> None:
    """Values of other types count as the JSON that everybody would write for them."""
    assert canonical_json(value) == canonical_json(same_as)


def _cycle() -> list[Any]:
    value: list[Any] = []
    value.append({"again": value})
    return value


_UNSTABLE = [
    object(),
    math.nan,
    math.inf,
    [-math.inf],
    {"a": object()},
    _cycle(),
    {("a", 1): 2},
    {1: 2, "1": 3},
    iter([]),
]


@pytest.mark.parametrize("value", _UNSTABLE)
def test_what_has_no_stable_form_is_refused(value: Any) -> None:
    """Better no digest than one that differs between two equal calls, or agrees between two different ones."""
    with pytest.raises(NotCanonical):
        digest(value)


def test_lone_surrogates_have_a_digest() -> None:
    """Text no UTF-8 can carry is still text, and not the same as another."""
    assert digest("\ud800") != digest("\ud801")
    assert digest({"\ud800": 1}) != digest({"\ud801": 1})


def test_members_sort_by_utf16_units() -> None:
    """An astral character sorts before U+FF61, as its surrogates do (RFC 8785, section 3.2.3)."""
    assert canonical_json({"｡": 2, "😀": 1}) == '{"😀":1,"｡":2}'
