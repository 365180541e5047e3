"""Who is to blame when an insert fails: the store is waited for, a request is set aside only on evidence."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from fake_store import FakeStore, refuse

from driftline.collector import Collector, drain
from driftline.collector.dead_letters import unframed
from driftline.collector.otlp import framed
from driftline.collector.records import Record
from driftline.collector.sieve import Case, Sieve
from driftline.collector.store.blame import Blame, blame


class Said(Exception):
    """An error as ClickHouse words it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Code: 1. DB::Exception: about (SOME_QUOTED_TEXT): in this query. ({name})")


def records(*words: bytes) -> list[Record]:
    return [Record(framed(word), 1) for word in words]


def settle(sieve: Sieve, batch: list[Record], token: str, case: Case) -> list[bytes] | None:
    """One try of a batch: what was set aside, None if nothing was decided."""
    try:
        return [record.payload[1:] for record, _ in sieve.insert(batch, token, case)]
    except Exception:  # noqa: BLE001
        case.tries += 1
        return None


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waits between tries."""
    monkeypatch.setattr(drain, "_BACKOFF", (0.01,))


@pytest.mark.parametrize(
    ("name", "whom"),
    [
        ("CANNOT_PARSE_PROTOBUF_SCHEMA", "bytes"), ("INCORRECT_DATA", "bytes"), ("UNKNOWN_PROTOBUF_FORMAT", "bytes"),
        ("TOO_LARGE_STRING_SIZE", "bytes"), ("MEMORY_LIMIT_EXCEEDED", "size"), ("TIMEOUT_EXCEEDED", "size"),
        ("READONLY", "store"), ("TABLE_IS_READ_ONLY", "store"), ("NOT_ENOUGH_SPACE", "store"),
        ("TOO_MANY_PARTS", "store"), ("TOO_MANY_SIMULTANEOUS_QUERIES", "store"), ("UNKNOWN_TABLE", "store"),
        ("ACCESS_DENIED", "store"), ("AUTHENTICATION_FAILED", "store"), ("SOCKET_TIMEOUT", "store"),
        ("NETWORK_ERROR", "store"), ("CANNOT_WRITE_TO_FILE_DESCRIPTOR", "store"), ("LOGICAL_ERROR", "unknown"),
    ],
)  # fmt: skip
def test_clickhouse_names_whom_it_blames(name: str, whom: Blame) -> None:
    """The name stands last, behind text that may quote anything."""
    assert blame(Said(name)) == whom


def test_no_word_of_clickhouse_blames_the_store() -> None:
    """A connection that broke says nothing about the batch."""
    assert blame(ConnectionResetError("reset by peer")) == "store"


@pytest.mark.parametrize("place", range(9))
def test_a_poison_is_found_by_halves(place: int) -> None:
    """Wherever it stands; with far fewer inserts than requests."""
    words = [b"good %d" % number for number in range(8)]
    words.insert(place, b"poison")
    store = FakeStore(refuse(b"poison"))
    assert settle(Sieve(store), records(*words), "t", Case()) == [b"poison"]
    assert store.content.count(b"good") == 8
    assert len(store.attempts) <= 1 + 2 * 4


def test_doing_it_again_uses_the_same_tokens() -> None:
    """A crash amid the halves repeats them, which adds nothing."""
    store = FakeStore(refuse(b"poison"))
    batch = records(b"a", b"b", b"poison", b"c")
    for _ in range(2):
        assert settle(Sieve(store), batch, "t", Case()) == [b"poison"]
    assert sorted(store.batches.values()) == sorted([framed(b"a") + framed(b"b"), framed(b"c")])


def test_a_store_that_refuses_everything_is_to_blame_itself() -> None:
    """A schema that nobody can use looks like bytes nobody can parse, for a request of nothing too."""
    store = FakeStore(lambda _batch, token: refuse(b"")(b"", token))
    sieve, case = Sieve(store), Case()
    assert [settle(sieve, records(b"a", b"b"), "t", case) for _ in range(9)] == [None] * 9


@pytest.mark.parametrize("name", ["READONLY", "NOT_ENOUGH_SPACE", "TOO_MANY_PARTS", "MEMORY_LIMIT_EXCEEDED"])
def test_a_store_in_trouble_is_waited_for(name: str) -> None:
    """However often; and however well a request of nothing goes in, as that needs neither disk nor memory."""
    store = FakeStore(lambda batch, _token: Said(name) if batch != b"\0" else None)
    sieve, case = Sieve(store), Case()
    assert [settle(sieve, records(b"a", b"b"), "t", case) for _ in range(30)] == [None] * 30


def test_a_batch_too_large_goes_in_by_parts() -> None:
    """A store with little memory takes what it can at a time."""
    store = FakeStore(lambda batch, _token: Said("MEMORY_LIMIT_EXCEEDED") if len(batch) > 30 else None)
    sieve, case = Sieve(store), Case()
    words = [b"request %02d" % number for number in range(16)]
    tries = [settle(sieve, records(*words), "t", case) for _ in range(9)]
    assert tries == [None] * 8 + [[]]
    assert b"".join(framed(word) for word in words) == b"".join(sorted(store.batches.values()))


@pytest.mark.parametrize("name", ["LOGICAL_ERROR", "ILLEGAL_COLUMN"])
def test_an_error_of_no_known_kind_is_the_batch_s_after_a_few_tries(name: str) -> None:
    """While a request of nothing goes in."""
    store = FakeStore(lambda batch, _token: Said(name) if b"odd" in batch else None)
    sieve, case = Sieve(store), Case()
    tries = [settle(sieve, records(b"a", b"odd", b"b"), "t", case) for _ in range(5)]
    assert tries == [None] * 4 + [[b"odd"]]


@pytest.mark.parametrize("how", [ConnectionResetError("gone"), Said("MEMORY_LIMIT_EXCEEDED")], ids=["kills", "memory"])
def test_a_request_that_always_takes_the_store_down_is_set_aside(tmp_path: Path, how: Exception) -> None:
    """Others went in between, again and again: it is not the store. The good ones behind it did not wait for that."""
    store = FakeStore(lambda batch, _token: how if b"killer" in batch else None)
    collector = Collector(store, tmp_path)
    collector.start()
    collector.submit(b"killer", 1)
    for number in range(400):
        collector.submit(b"good %d" % number, 1)
        store.stored.wait(0.02)
        if collector.dead_letters.count():
            break
    assert collector.flush(60)
    collector.stop(5)
    (letter,) = collector.dead_letters.letters()
    assert collector.dead_letters.content(letter) == framed(b"killer")
    assert store.content.count(b"good") == number + 1


def test_a_store_that_comes_and_goes_costs_no_request(tmp_path: Path) -> None:
    """Half of all inserts fail, of whichever batch; nothing is set aside."""
    ups = random.Random(5)
    store = FakeStore(lambda _batch, _token: None if ups.random() < 0.5 else ConnectionError("flapping"))
    collector = Collector(store, tmp_path)
    collector.start()
    for number in range(60):
        collector.submit(b"%d" % number, 1)
        threading.Event().wait(0.005)
    assert collector.flush(60)
    collector.stop(5)
    assert collector.dead_letters.letters() == []
    assert sorted(unframed(store.content)) == sorted(b"%d" % number for number in range(60))
