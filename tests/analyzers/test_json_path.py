"""Paths into arguments and results: what they find, and that anything else is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from driftline.analyzers.json_path import InvalidJsonPath, JsonPath

_ORDER = {"id": "o1", "lines": [{"sku": "a", "n": 1}, {"sku": "b"}], "to": {"user": "ann", "a.b": 7}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [_ORDER]),
        ("$.id", ["o1"]),
        ("$['id']", ["o1"]),
        ("$.to['a.b']", [7]),
        ("$.lines[0].sku", ["a"]),
        ("$.lines[*].sku", ["a", "b"]),
        ("$.lines[*].n", [1]),
        ("$.to.*", ["ann", 7]),
        ("$.lines[5].sku", []),
        ("$.id.more", []),
        ("$.lines.sku", []),
        ("$.missing", []),
        ("$.id[0]", []),
    ],
)
def test_a_path_finds_all_it_names_and_nothing_in_other_shapes(path: str, found: list[Any]) -> None:
    assert JsonPath(path).find(_ORDER) == found


@pytest.mark.parametrize("document", [None, "text", 3, [], {}])
def test_a_document_of_another_shape_holds_nothing(document: Any) -> None:
    assert JsonPath("$.a[0].b").find(document) == []


@pytest.mark.parametrize("path", ["", "id", ".id", "$id", "$..id", "$.", "$.a[", "$.a[-1]", "$.a[?(@.b)]", "$.a b"])
def test_what_is_not_supported_is_refused(path: str) -> None:
    with pytest.raises(InvalidJsonPath, match="path"):
        JsonPath(path)
