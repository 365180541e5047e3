"""What was set aside can be looked at, replayed and discarded; and stays until that has happened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_store import FakeStore
from otlp_requests import request, span

from driftline.collector import Collector
from driftline.collector.dead_letters import CannotReplay, DeadLetters, NoSuchLetter, described, items_in, unframed
from driftline.collector.otlp import LogFull, framed

SENT = request(span("one"), span("two")).SerializeToString()


@pytest.fixture
def dead(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "dead-letter")


def test_a_letter_says_what_it_is(dead: DeadLetters) -> None:
    """Kind, signal, number of requests, size and reason; oldest first."""
    dead.keep("t1", [framed(SENT), framed(b"x")], "cannot parse", "refused")
    dead.keep("t2-logs", [b"torn"], "checksum", "damaged", "logs")
    os.utime(dead.folder / "t1.refused.json", (1, 1))
    assert dead.newest() == "t2-logs.damaged"
    # What was sent, before any redaction: nobody else reads it.
    assert {oct(path.stat().st_mode & 0o777) for path in dead.folder.iterdir()} == {"0o600"}
    assert dead.folder.stat().st_mode & 0o777 == 0o700
    first, second = dead.letters()
    assert (first.name, first.kind, first.signal, first.requests) == ("t1.refused", "refused", "traces", 2)
    assert (first.reason, first.size) == ("cannot parse", len(framed(SENT)) + 2)
    assert (second.name, second.kind, second.signal) == ("t2-logs.damaged", "damaged", "logs")
    assert list(unframed(dead.content(first))) == [SENT, b"x"]


def test_a_replayed_letter_is_stored_and_gone(tmp_path: Path, dead: DeadLetters) -> None:
    """Through the log, like everything; under its own signal."""
    dead.keep("t1", [framed(SENT), framed(b"rubbish")], "no memory", "refused")
    dead.keep("t2-logs", [framed(b"log")], "no memory", "refused", "logs")
    store = FakeStore()
    collector = Collector(store, tmp_path)
    collector.start()
    for letter in dead.letters():
        dead.replay(letter, collector)
    assert collector.flush(60)
    collector.stop(5)
    assert set(store.batches.values()) == {framed(SENT) + framed(b"rubbish"), framed(b"log")}
    assert sorted(store.signals.values()) == ["logs", "traces"]
    assert collector.stats()["acknowledged"] == 2 + 1 + 1
    assert list(dead.folder.iterdir()) == []


def test_a_letter_stays_if_the_collector_takes_nothing(
    tmp_path: Path, dead: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk must not cost what was set aside."""
    dead.keep("t1", [framed(SENT)], "no memory", "refused")
    collector = Collector(FakeStore(), tmp_path)
    collector.start()
    (letter,) = dead.letters()
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", _no_space)
        with pytest.raises(LogFull):
            dead.replay(letter, collector)
    collector.stop(5)
    assert dead.content(letter) == framed(SENT)


def test_a_running_collector_replays_what_is_wanted(tmp_path: Path, dead: DeadLetters) -> None:
    """Asked through the folder, by whoever may write to it; letters nobody wants stay."""
    dead.keep("t1", [framed(SENT)], "no memory", "refused")
    dead.keep("t2", [framed(b"other")], "no memory", "refused")
    store = FakeStore()
    collector = Collector(store, tmp_path)
    collector.start()
    dead.want(dead.letter("t1.refused"))
    assert store.stored.wait(60)
    collector.stop(60)
    assert store.content == framed(SENT)
    assert [letter.name for letter in dead.letters()] == ["t2.refused"]
    assert list(dead.folder.glob("*.replay")) == []


def test_a_damaged_letter_is_not_replayed(tmp_path: Path, dead: DeadLetters) -> None:
    """Its bytes are not what was sent."""
    dead.keep("t1", [b"torn"], "a record's checksum is wrong", "damaged")
    with pytest.raises(CannotReplay, match="not what was sent"):
        dead.replay(dead.letter("t1.damaged"), Collector(FakeStore(), tmp_path))
    assert dead.count() == 1


def test_a_discarded_letter_is_gone(dead: DeadLetters) -> None:
    """Both files; naming it again says that it is not there."""
    dead.keep("t1", [framed(SENT)], "why", "refused")
    dead.discard(dead.letter("t1.refused"))
    assert list(dead.folder.iterdir()) == []
    with pytest.raises(NoSuchLetter, match=r"no dead letter 't1\.refused'"):
        dead.letter("t1.refused")


@pytest.mark.parametrize("note", [b"", b"[]", b"{not json", b"\xff\xfe"])
def test_an_unreadable_note_hides_no_letter(dead: DeadLetters, note: bytes) -> None:
    """It is listed by its name, and can be replayed by it."""
    dead.keep("t1", [framed(SENT)], "why", "refused")
    (dead.folder / "t1.refused.json").write_bytes(note)
    assert [(one.name, one.kind, one.size > 0) for one in dead.letters()] == [("t1.refused", "refused", True)]


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_letter_cut_short_gives_what_is_whole(cut: int) -> None:
    """Wherever it ends."""
    data = framed(b"one") + framed(b"two") + framed(b"four")
    found = list(unframed(data[:-cut]))
    assert found == [b"one", b"two", b"four"][: len(found)]


def test_items_are_counted_and_described() -> None:
    """What cannot be read counts as one, so that it is not passed over as empty."""
    assert (items_in(SENT), items_in(b"\xff")) == (2, 1)
    assert described(SENT, "traces") == "2 spans: one, two"
    assert described(b"\xff", "logs") == "not readable as logs"


def _no_space(*_: object) -> int:
    raise OSError(28, "No space left on device")
