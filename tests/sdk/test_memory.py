"""Shared memory: references, versions, parents, and what a write came to."""

from __future__ import annotations

from typing import Any

import pytest
from recorded_spans import Recorded

import driftline
from driftline import memory
from driftline.canonical import digest

KEYS, VERSIONS, PARENTS = "driftline.memory.keys", "driftline.memory.versions", "driftline.memory.parents"
KIND, ORDINALS, DIGESTS = "driftline.memory.version_kind", "driftline.memory.ordinals", "driftline.memory.digests"
STATUS = "driftline.memory.status"


def test_read_then_use(spans: Recorded) -> None:
    """What a read observed is a reference that a later call says it used."""
    with memory.read("notes", "plan") as read:
        read.observed("v3", ordinal=7)
        read.content({"text": "…"})
    assert (read.ref, read.refs, read.version) == ("notes/plan@v3", ["notes/plan@v3"], "v3")
    with driftline.tool("publish", used=[read.ref]), driftline.agent("a") as turn:
        turn.used(*read.refs)
    said = spans.said("read_memory notes")
    assert (["plan"], ["v3"], "native", [7], [digest({"text": "…"})]) == (
        said[KEYS], said[VERSIONS], said[KIND], said[ORDINALS], said[DIGESTS],
    )  # fmt: skip
    assert spans.said("execute_tool publish")["driftline.effect.used"] == ["notes/plan@v3"]
    assert spans.said("invoke_agent a")["driftline.effect.used"] == ["notes/plan@v3"]


def test_write_derived_from_what_was_read(spans: Recorded) -> None:
    """Parents come from the read, the version from the store."""
    with memory.read("notes", "plan") as read:
        read.observed("v3")
    with memory.write("notes", "plan", parents=[read.version]) as write:
        write.wrote("v4", ordinal=8)
    said = spans.said("update_memory notes")
    assert (
        said[KEYS], said[VERSIONS], said[PARENTS], said[ORDINALS], said[KIND],
    ) == (["plan"], ["v4"], ["v3"], [8], "native")  # fmt: skip
    assert write.ref == "notes/plan@v4"
    assert STATUS not in said, "committed is the default of a write that did not fail"


def test_nothing_was_there(spans: Recorded) -> None:
    """None is `init`: a read before any write, and the parent of a first write."""
    with memory.read("notes", "plan") as read:
        read.observed(None)
    with memory.write("notes", "plan", parents=[None]):
        pass
    assert read.ref == "notes/plan@init"
    assert spans.said("create_memory notes")[PARENTS] == ["init"]


def test_blind_writes(spans: Recorded) -> None:
    """No parents, an empty list, or an unknown one: the lineage is unknown, never invented."""
    with memory.read("notes", "a") as unversioned:
        pass
    assert (unversioned.ref, unversioned.version) == ("notes/a@", "")
    for parents in (None, [], [unversioned.version], ["v1", ""]):
        with memory.write("notes", "a", parents=parents):
            pass
    with memory.write("notes", "a") as write:
        write.parents(unversioned.version)
    assert not [span for span in spans.all() if PARENTS in span.attributes]
    assert spans.names.count("update_memory notes") == 5


def test_parents_said_later(spans: Recorded) -> None:
    """The handle says them as the arguments do."""
    with memory.write("notes", "a") as write:
        write.parents("v1", None)
    assert spans.said("update_memory notes")[PARENTS] == ["v1", "init"]


def test_a_parent_as_text(spans: Recorded) -> None:
    """A lone version is one parent, not its letters."""
    with memory.write("notes", "a", parents="v12"):
        pass
    assert spans.said("update_memory notes")[PARENTS] == ["v12"]


def test_many_keys(spans: Recorded) -> None:
    """Lists stay parallel to the keys, with holes where nothing is known."""
    with memory.read("notes", ["a", "b", "c"]) as read:
        read.observed({"c": "v3", "a": None})
        read.content("text of b", key="b")
    said = spans.said("read_memory notes")
    assert (["a", "b", "c"], ["init", "", "v3"], ["", digest("text of b"), ""]) == (
        said[KEYS], said[VERSIONS], said[DIGESTS],
    )  # fmt: skip
    assert read.refs == ["notes/a@init", "notes/b@", "notes/c@v3"]


def test_ordinals_of_all_keys_or_none(spans: Recorded) -> None:
    """A list of numbers has no holes: it is sent when it is complete."""
    with memory.read("notes", ["a", "b"]) as read:
        read.observed({"a": "v1"}, ordinal={"a": 1})
        assert ORDINALS not in (read.span.attributes or {})  # type: ignore[attr-defined]
        read.observed({"b": "v2"}, ordinal={"b": 2})
    assert spans.said("read_memory notes")[ORDINALS] == [1, 2]


def test_search_finds_its_keys(spans: Recorded) -> None:
    """The records a search returned are its keys."""
    with memory.search("notes", watermark="w9") as search:
        assert (search.ref, search.refs, search.version) == ("", [], "")
        search.observed({"a": "v1", "b": "v2"})
    said = spans.said("search_memory notes")
    assert (said[KEYS], said[VERSIONS], said["driftline.memory.watermark"]) == (["a", "b"], ["v1", "v2"], "w9")
    assert search.refs == ["notes/a@v1", "notes/b@v2"]


def test_a_version_of_no_key(spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that names no key cannot say one version: an error under test, left out in production."""
    with memory.search("notes") as search:
        with pytest.raises(ValueError, match="mapping from key to version"):
            search.observed("v1")
        monkeypatch.setenv("DRIFTLINE_STRICT", "0")
        search.observed("v1")
    assert spans.said("search_memory notes")[KEYS] == []


def test_delete_leaves_a_tombstone(spans: Recorded) -> None:
    """A delete has parents and produces a version."""
    with memory.delete("notes", "a", parents=["v3"], epoch=2) as delete:
        delete.wrote("v4")
    said = spans.said("delete_memory notes")
    assert (said[VERSIONS], said[PARENTS], said["driftline.memory.epoch"]) == (["v4"], ["v3"], 2)


@pytest.mark.parametrize("word", ["rolled_back", "committed", "unknown"])
def test_status(word: str, spans: Recorded) -> None:
    """What became of a write, where the program knows better than its exception."""
    with pytest.raises(RuntimeError), memory.write("notes", "a") as write:
        getattr(write, word)()
        raise RuntimeError
    assert word == spans.said("update_memory notes")[STATUS]


@pytest.mark.parametrize("kind", ["native", "digest", "time", "none"])
def test_kinds_of_versions(kind: str, spans: Recorded) -> None:
    """Only native ids are unique, so the others say what they are."""
    with memory.write("notes", "a") as write:
        write.wrote("x", kind=kind)
    assert kind == spans.said("update_memory notes")[KIND]


def test_another_kind_is_a_mistake(spans: Recorded) -> None:
    """It raises under test."""
    with memory.read("notes", "a") as read, pytest.raises(ValueError, match="native, digest, time, none"):
        read.observed("v", kind="etag")


def test_version_known_before(spans: Recorded) -> None:
    """Given to the operation it is there from the start, of the first key."""
    with memory.read("notes", ["a", "b"], version="v1") as read:
        pass
    assert spans.said("read_memory notes")[VERSIONS] == ["v1", ""]
    assert read.refs == ["notes/a@v1", "notes/b@"]


@pytest.mark.parametrize("value", [object(), {"a": object()}])
def test_content_without_stable_form(value: Any, spans: Recorded) -> None:
    """It has no digest."""
    with memory.read("notes", "a") as read:
        read.content(value)
    assert DIGESTS not in spans.said("read_memory notes")


def test_keys_with_slashes(spans: Recorded) -> None:
    """A key may hold slashes and at-signs; the last @ splits a reference."""
    with memory.read("notes", "a/b@c") as read:
        read.observed("v1")
    assert tuple(read.ref.rsplit("@", 1)) == ("notes/a/b@c", "v1")


def test_as_a_decorator(spans: Recorded) -> None:
    """A function that always reads the same."""

    @memory.read("notes", "plan", version="v1")
    def plan() -> str:
        return "text"

    assert plan() == "text"
    assert spans.said("read_memory notes")[VERSIONS] == ["v1"]


def test_numbers_as_keys_and_versions(spans: Recorded) -> None:
    """Stores count; on the wire both are text."""
    with memory.write("notes", 5, parents=[1], version=2) as write:  # type: ignore[arg-type, list-item]
        pass
    said = spans.said("update_memory notes")
    assert (said[KEYS], said[VERSIONS], said[PARENTS], write.ref) == (["5"], ["2"], ["1"], "notes/5@2")
