"""The tool catalogue: what it declares, and that every mistake in it is named with its place and its mending."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftline.analyzers import InvalidCatalogue, load_catalogue
from driftline.analyzers.catalogue import Catalogue

_FULL = """
[shop.charge]
effect = "write"
idempotent = false
targets = [{ kind = "order", path = "$.order", lasting = true }]
creates = [{ kind = "payment", path = "$.id" }]
intent = ["$.order", "$.purpose"]
refused_when = { prefix = "Error" }
reads = [{ kind = "order", path = "$.order" }]
also = ["user"]
on_repeat = "applied_again"

[shop.refund]
effect = "destructive"
compensates = ["charge"]
refused_when = { pattern = "^(denied|refused)" }

[calendar.europe.book]
effect = "write"
targets = [{ kind = "user", path = "$.user" }]
one_per = "target"

[lookup]
effect = "read"
idempotent = true
"""


def _load(folder: Path, text: str) -> Catalogue:
    file = folder / "tools.toml"
    file.write_text(text, encoding="utf-8")
    return load_catalogue(file)


def test_every_member_is_read(tmp_path: Path) -> None:
    catalogue = _load(tmp_path, _FULL)
    assert sorted(catalogue.tools) == ["book", "charge", "lookup", "refund"]
    charge = catalogue.tools["charge"]
    assert (charge.effect, charge.idempotent, charge.lasting) == ("write", False, True)
    assert charge.targets[0].entities({"order": 7}) == ("order/7",)
    assert charge.creates[0].entities({"id": "p1"}) == ("payment/p1",)
    assert [path.text for path in charge.intent] == ["$.order", "$.purpose"]
    assert catalogue.tools["refund"].compensates == ("charge",)
    assert catalogue.tools["book"].one_per == "target"
    assert catalogue.get("lookup") is catalogue.tools["lookup"]
    assert catalogue.get("unknown") is None


def test_groups_are_the_outermost_tables(tmp_path: Path) -> None:
    groups = _load(tmp_path, _FULL).groups
    assert {group: set(tools) for group, tools in groups.items()} == {
        "shop": {"charge", "refund"},
        "calendar": {"book"},
        "lookup": {"lookup"},
    }


def test_a_refusal_is_told_by_prefix_or_pattern(tmp_path: Path) -> None:
    tools = _load(tmp_path, _FULL).tools
    assert tools["charge"].refuses("Error: no funds")
    assert not tools["charge"].refuses("no Error")
    assert tools["refund"].refuses("denied by policy")
    assert not tools["book"].refuses("Error")


def test_only_ids_name_entities(tmp_path: Path) -> None:
    """A flag, a number with a fraction, an object or nothing at all is no entity."""
    path = _load(tmp_path, _FULL).tools["charge"].targets[0]
    assert [path.entities({"order": value}) for value in (True, 1.5, {}, None, "")] == [()] * 5


def test_a_tool_may_stand_in_two_groups_if_both_say_the_same(tmp_path: Path) -> None:
    assert "think" in _load(tmp_path, '[a.think]\neffect = "none"\n[b.think]\neffect = "none"\n').tools


@pytest.mark.parametrize(
    ("text", "what", "todo"),
    [
        ("[shop", "is not valid TOML", "mend that line"),
        ("charge = 3", "charge is not a table", "tools are tables"),
        ('[a.charge]\nefect = "write"', "[a.charge] declares a tool without an effect", "is 'efect' meant to be it?"),
        ("[a.charge]\nidempotent = true", "[a.charge] declares a tool without an effect", "use one of none, read"),
        ('[a.charge]\neffect = "rite"', "[a.charge] effect = 'rite'", "use one of none, read, write, destructive"),
        ('[a.t]\neffect = "read"\nidempotnt = true', "unknown member 'idempotnt'", "did you mean 'idempotent'?"),
        ('[a.t]\neffect = "read"\nzzz = true', "unknown member 'zzz'", "known: effect, idempotent"),
        ('[a.t]\neffect = "read"\nidempotent = "yes"', "idempotent = 'yes'", "use true or false"),
        ('[a.t]\neffect = "write"\ntargets = "$.x"', "targets = '$.x'", "use a list of tables: targets = "),
        ('[a.t]\neffect = "write"\ntargets = ["$.x"]', "targets holds '$.x'", "use a list of tables"),
        ('[a.t]\neffect = "write"\ntargets = [{ path = "$.x" }]', "targets holds {'path': '$.x'}", "use a list of"),
        (
            '[a.t]\neffect = "write"\ncreates = [{ kind = "o", path = "x" }]',
            "does not begin with $",
            "paths are made of",
        ),
        ('[a.t]\neffect = "write"\ncreates = [{ kind = "", path = "$.x" }]', "kind = ''", "use a list of tables"),
        (
            '[a.t]\neffect = "write"\ntargets = [{ kind = "o", path = "$.x", lasting = 1 }]',
            "lasting = 1",
            "true or false",
        ),
        ('[a.t]\neffect = "write"\nintent = "$.x"', "intent = '$.x'", "use a list of paths"),
        ('[a.t]\neffect = "write"\nintent = []', "intent = []", "use a list of paths"),
        ('[a.t]\neffect = "write"\nintent = ["$..x"]', "intent: path '$..x' is not understood", "paths are made of"),
        ('[a.t]\neffect = "write"\nintent = [3]', "intent: path 3", "paths are made of"),
        ('[a.t]\neffect = "write"\none_per = "order"', "one_per = 'order'", 'use "run", "target" or a list of paths'),
        ('[a.t]\neffect = "write"\none_per = "target"', "declares no targets", "add targets"),
        ('[a.t]\neffect = "write"\ncompensates = "book"', "compensates = 'book'", "use a list of names"),
        (
            '[a.book]\neffect = "write"\n[a.t]\neffect = "write"\ncompensates = ["bok"]',
            "'bok' names no tool",
            "'book'?",
        ),
        ('[a.t]\neffect = "write"\nrefused_when = "Error"', "refused_when = 'Error'", 'use { prefix = "Error" }'),
        ('[a.t]\neffect = "write"\nrefused_when = { begins = "x" }', "refused_when = {'begins': 'x'}", "use { prefix"),
        (
            '[a.t]\neffect = "write"\nrefused_when = { pattern = "(" }',
            "'(' is no regular expression",
            "mend the pattern",
        ),
        ('[a.t]\neffect = "write"\n[b.t]\neffect = "read"', "declares 't' a second time, otherwise", "keep one"),
    ],
)
def test_a_mistake_is_named_with_place_and_mending(tmp_path: Path, text: str, what: str, todo: str) -> None:
    with pytest.raises(InvalidCatalogue) as error:
        _load(tmp_path, text)
    assert what in error.value.what
    assert "tools.toml" in error.value.what
    assert todo in error.value.todo


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidCatalogue, match=r"nowhere\.toml cannot be read: No such file"):
        load_catalogue(tmp_path / "nowhere.toml")
