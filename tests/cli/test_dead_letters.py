"""`driftline dead-letters` on a folder, with and without a server that has it open."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Ended, Up, driftline
from otlp_requests import request, span

from driftline.collector.dead_letters import DeadLetters
from driftline.collector.otlp import framed

Run = Callable[..., Ended]

SENT = request(span("late", trace=9, number=1)).SerializeToString()


@pytest.fixture
def dead(tmp_path: Path) -> DeadLetters:
    """A folder with a good letter, one that nobody can read, and a damaged one."""
    found = DeadLetters(tmp_path / "data" / "dead-letter")
    found.keep("1", [framed(SENT)], "Code: 241. DB::Exception: no memory\nsecond line", "refused")
    found.keep("2", [framed(b"\xff\xff")], "cannot parse", "refused")
    found.keep("3", [b"torn"], "a record's checksum is wrong", "damaged")
    return found


def test_list_and_show(run: Run, dead: DeadLetters) -> None:
    """Names, reasons, and what the requests hold."""
    listed = run("dead-letters", "list", "--data", dead.folder.parent)
    assert listed.code == 0
    for word in ("1.refused", "2.refused", "3.damaged", "no memory", "cannot parse", "checksum"):
        assert word in listed.out
    assert "second line" not in listed.out
    shown = run("dead-letters", "show", "1.refused", "--data", dead.folder.parent)
    assert "second line" in shown.out
    assert "1 spans: late" in shown.out
    data = run("dead-letters", "show", "2.refused", "--format", "json", "--data", dead.folder.parent).json
    assert data["content"] == [{"number": 1, "bytes": 2, "holds": "not readable as traces"}]


def test_nothing_set_aside(run: Run, tmp_path: Path) -> None:
    """Is said, and is no error."""
    for words in (("list",), ("replay", "--all"), ("discard", "--all", "--yes")):
        ended = run("dead-letters", *words, "--data", tmp_path / "data")
        assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "9.refused"), "there is no dead letter '9.refused'"),
        (("replay", "3.damaged"), "is damaged: its bytes are not what was sent"),
        (("replay",), "give names, or --all"),
        (("discard", "1.refused", "--all"), "give names, or --all"),
        (("list", "--data", "http://localhost:1"), "dead letters lie in the collector's folder"),
    ],
)
def test_what_cannot_be(run: Run, dead: DeadLetters, words: tuple[str, ...], said: str) -> None:
    """Says what and where; nothing is gone afterwards."""
    where = () if "--data" in words else ("--data", dead.folder.parent)
    ended = run("dead-letters", *words, *where)
    assert ended.code == 2
    assert said in ended.err
    assert dead.count() == 3


def test_discard(run: Run, dead: DeadLetters) -> None:
    """Only what was named; asked first."""
    refused = run("dead-letters", "discard", "1.refused", "--data", dead.folder.parent, stdin=b"n\n")
    assert (refused.code, dead.count()) == (130, 3)
    assert run("dead-letters", "discard", "1.refused", "--yes", "--data", dead.folder.parent).code == 0
    assert [letter.name for letter in dead.letters()] == ["2.refused", "3.damaged"]


@pytest.mark.e2e
@pytest.mark.parametrize("served", [False, True], ids=["no server", "a server"])
def test_replay(dead: DeadLetters, served: bool) -> None:
    """The good one is stored, the bad one set aside again; through the server where one has the folder."""
    data = dead.folder.parent
    up = Up(data) if served else None
    try:
        ended = driftline("dead-letters", "replay", "1.refused", "2.refused", "--data", data)
        assert "replayed 2 requests" in ended.out
        left = [letter for letter in dead.letters() if letter.kind == "refused"]
        if not served:  # a server stores it a moment later
            assert ended.code == 1
            assert [dead.content(letter) for letter in left] == [framed(b"\xff\xff")]
            assert left[0].name in ended.err
        said = driftline("doctor", "--data", data)
        assert "driftline dead-letters list" in said.out
    finally:
        if up:
            up.stop()
    runs = driftline("show", f"{9:032x}", "--data", data, "--format", "json")
    assert "late" in json.dumps(runs.json)
