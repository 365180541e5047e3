"""The collector's two halves over a store that fails on demand: acknowledged is on disk, on disk is stored once."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fake_store import FakeStore, refuse
from otlp_requests import request, span

from driftline.collector import Collector
from driftline.collector.otlp import PROTOBUF, LogFull, ShuttingDown, framed
from driftline.collector.wal import LogInUse

Made = Callable[..., Collector]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Made]:
    """Makes a running collector in the test's folder; stops them all in the end."""
    made: list[Collector] = []

    def make(store: FakeStore, **settings: Any) -> Collector:
        found = Collector(store, tmp_path, **settings)
        found.start()
        made.append(found)
        return found

    yield make
    for found in made:
        found.stop(timeout=5)


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds; the test's own time limit is long."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited a minute in vain"
        time.sleep(0.01)


def test_a_request_is_stored_as_it_was_sent(collector: Made) -> None:
    """Framed as ClickHouse reads it; the counters tell."""
    store = FakeStore()
    running = collector(store)
    sent = request(span("one"), span("two"))
    accepted = running.receive(sent.SerializeToString(), PROTOBUF)
    assert running.flush()
    assert (accepted.items, accepted.rejected) == (2, 0)
    assert framed(sent.SerializeToString()) == store.content
    stats = running.stats()
    assert tuple(stats[name] for name in ("received", "acknowledged", "stored", "log_bytes")) == (1, 2, 2, 0)


def test_nobody_is_answered_before_the_sync(collector: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """While fsync has not returned, submit has not; what was written is in the file by then."""
    running = collector(FakeStore())
    running.submit(b"opens the first segment", 1)
    running.flush()
    held, release = threading.Event(), threading.Event()
    real = os.fsync

    def fsync(file: int) -> None:
        held.set()
        assert release.wait(60)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(running.submit, b"payload", 1)
        assert held.wait(60)
        assert not answer.done()
        release.set()
        answer.result(60)


def test_requests_that_wait_share_one_sync(collector: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty senders arrive during a sync; one more sync answers them all."""
    running = collector(FakeStore())
    held, release, syncs = threading.Event(), threading.Event(), []
    real = os.fsync

    def fsync(file: int) -> None:
        if threading.current_thread().name == "driftline-write":
            syncs.append(file)
            held.set()
            assert release.wait(60)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(running.submit, b"first", 1)
        assert held.wait(60)
        others = [pool.submit(running.submit, b"other %d" % number, 1) for number in range(20)]
        wait_for(lambda: running._queue.qsize() == 20)
        release.set()
        for answer in (first, *others):
            answer.result(60)
    assert len(syncs) == 3  # the new file's name, the first record, the twenty others together


def test_a_steady_trickle_is_stored_while_it_flows(collector: Made) -> None:
    """Requests that keep coming must not keep a segment open for ever."""
    store = FakeStore()
    running = collector(store)
    for number in range(2000):
        running.submit(b"drop %d" % number, 1)
        if store.stored.wait(0.01):
            break
    assert store.stored.is_set()


def test_a_store_that_fails_for_a_while_makes_the_log_grow_then_drain(collector: Made) -> None:
    """Nothing is refused meanwhile, nothing lost, nothing stored twice; the trouble is told and then gone."""
    down = threading.Event()
    down.set()
    store = FakeStore(lambda _batch, _token: ConnectionError("ClickHouse is down") if down.is_set() else None)
    running = collector(store)
    for number in range(30):
        running.submit(b"request %d" % number, 1)
    wait_for(lambda: bool(store.attempts))
    wait_for(lambda: running.stats()["trouble"] == "ClickHouse is down")
    assert running.stats()["log_bytes"] > 0
    assert not running.flush(timeout=0)
    down.clear()
    assert running.flush(60)
    assert b"".join(framed(b"request %d" % number) for number in range(30)) == store.content
    assert tuple(running.stats()[name] for name in ("stored", "trouble", "log_bytes")) == (30, "", 0)


def test_signals_share_the_log_and_go_in_apart(collector: Made) -> None:
    """One sync, one segment; each signal is a batch of its own under a token of its own."""
    store = FakeStore()
    running = collector(store)
    running.submit(b"span 1", 1)
    running.submit(b"log 1", 2, "logs")
    running.submit(b"span 2", 1)
    assert running.flush(60)
    (token,) = [token for token in store.batches if not token.endswith("-logs")]
    assert store.batches == {token: framed(b"span 1") + framed(b"span 2"), f"{token}-logs": framed(b"log 1")}
    assert store.signals == {token: "traces", f"{token}-logs": "logs"}


def test_an_error_without_words_does_not_end_the_draining(collector: Made) -> None:
    """Some exceptions have an empty message."""
    errors = iter([RuntimeError(), RuntimeError("\n")])
    store = FakeStore(lambda _batch, _token: next(errors, None))
    running = collector(store)
    running.submit(b"request", 1)
    assert running.flush(60)


def test_a_poison_request_is_set_aside_and_the_others_of_its_segment_stored(collector: Made) -> None:
    """The dead letter holds the request as it was, framed, and the reason as JSON."""
    store = FakeStore(refuse(b"poison"))
    running = collector(store)
    running.submit(b"good 1", 1)
    running.submit(b"poison", 3)
    running.submit(b"good 2", 1)
    assert running.flush(60)
    assert framed(b"good 1") + framed(b"good 2") == store.content
    (reason,) = running.dead_letters.folder.glob("*.json")
    said = json.loads(reason.read_text())
    assert (said["requests"], said["kind"]) == (1, "refused")
    assert "cannot parse" in said["reason"]
    assert framed(b"poison") == reason.with_suffix("").read_bytes()
    assert tuple(running.stats()[name] for name in ("stored", "dead_letters", "log_bytes")) == (2, 1, 0)


def test_a_store_that_fails_amid_the_picking_loses_nothing(collector: Made) -> None:
    """The second request is tried when ClickHouse has just gone away."""
    trouble = iter([ConnectionError("gone")])

    def fails(batch: bytes, token: str) -> Exception | None:
        if token.count("-") > 1 and b"good 2" in batch:
            return next(trouble, None)
        return refuse(b"poison")(batch, token)

    store = FakeStore(fails)
    running = collector(store)
    for payload in (b"good 1", b"good 2", b"poison", b"good 3"):
        running.submit(payload, 1)
    assert running.flush(60)
    assert sorted(framed(b"good %d" % n) for n in (1, 2, 3)) == sorted(_frames(store.content))
    assert running.stats()["dead_letters"] == 1


def test_a_damaged_record_is_set_aside_and_the_others_stored(tmp_path: Path, collector: Made) -> None:
    """A disk that lies is no reason to lose the neighbours, nor to keep silent."""
    stuck = Collector(FakeStore(lambda _batch, _token: ConnectionError("down")), tmp_path)
    stuck.start()
    for payload in (b"one", b"two", b"three"):
        stuck.submit(payload, 1)
    stuck.stop(timeout=0.1)
    (segment,) = (tmp_path / "log").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b"two", b"tvo"))
    store = FakeStore()
    running = collector(store)
    assert running.flush(60)
    assert framed(b"one") + framed(b"three") == store.content
    (letter,) = running.dead_letters.folder.glob("*.damaged")
    assert b"tvo" in letter.read_bytes()


def test_what_a_process_left_is_stored_by_the_next_under_the_same_name(tmp_path: Path, collector: Made) -> None:
    """The token is what makes the repeat add nothing."""
    first_store = FakeStore(lambda _batch, _token: ConnectionError("down"))
    first = Collector(first_store, tmp_path)
    first.start()
    first.submit(b"left behind", 1)
    first.stop(timeout=0.1)
    store = FakeStore()
    running = collector(store)
    assert running.flush(60)
    assert {first_store.attempts[0]: framed(b"left behind")} == store.batches
    assert list((tmp_path / "log").iterdir()) == []


def test_a_log_at_its_limit_takes_no_more_until_it_drains(collector: Made) -> None:
    """Refused, so that the sender keeps it; taken again later."""
    down = threading.Event()
    down.set()
    store = FakeStore(lambda _batch, _token: ConnectionError("down") if down.is_set() else None)
    running = collector(store, log_limit=100)
    running.submit(bytes(200), 1)
    with pytest.raises(LogFull, match="at its limit"):
        running.submit(b"one too many", 1)
    down.clear()
    assert running.flush(60)
    wait_for(lambda: running.stats()["log_bytes"] == 0)
    running.submit(b"welcome again", 1)
    assert running.stats()["refused"] == {"log full": 1}


def test_a_full_disk_is_told_and_survived(collector: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender hears it; what came before and what comes after is stored."""
    store = FakeStore()
    running = collector(store)
    running.submit(b"before", 1)
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", _no_space)
        with pytest.raises(LogFull, match="No space left"):
            running.submit(b"lost, and known to be", 1)
    running.submit(b"after", 1)
    assert running.flush(60)
    assert framed(b"before") + framed(b"after") == store.content
    assert running.stats()["refused"] == {"disk": 1}


def test_a_segment_deleted_under_us_is_told_and_stops_nobody(
    tmp_path: Path, collector: Made, caplog: pytest.LogCaptureFixture
) -> None:
    """What is written into a deleted file is refused; what was deleted before it was stored is counted and logged."""
    down = threading.Event()
    down.set()
    store = FakeStore(lambda _batch, _token: ConnectionError("ClickHouse is down") if down.is_set() else None)
    running = collector(store)
    running.submit(b"deleted", 3)
    wait_for(lambda: bool(running.stats()["trouble"]))
    for path in (tmp_path / "log").iterdir():
        path.unlink()
    down.clear()
    running.submit(b"after", 1)
    assert running.flush(60)
    assert store.content == framed(b"after")
    stats = running.stats()
    assert (stats["acknowledged"], stats["stored"], stats["lost"], stats["log_bytes"]) == (4, 1, 3, 0)
    assert "3 spans are lost: somebody deleted" in caplog.text


def _no_space(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_after_the_end_nothing_is_taken_and_nobody_hangs(collector: Made) -> None:
    """Each of many senders during `stop` is answered: stored, or refused."""
    store = FakeStore()
    running = collector(store)
    started = threading.Barrier(9)

    def send(number: int) -> list[bytes]:
        taken = []
        started.wait(60)
        for count in range(50):
            payload = b"<%d.%d>" % (number, count)
            try:
                running.submit(payload, 1)
            except ShuttingDown:
                break
            taken.append(payload)
        return taken

    with ThreadPoolExecutor(8) as pool:
        senders = [pool.submit(send, number) for number in range(8)]
        started.wait(60)
        running.stop(60)
        taken = [payload for sender in senders for payload in sender.result(60)]
    assert sorted(framed(payload) for payload in taken) == sorted(_frames(store.content))
    with pytest.raises(ShuttingDown):
        running.submit(b"too late", 1)


def _frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        length = data[0] + 1
        found.append(data[:length])
        data = data[length:]
    return found


def test_the_end_does_not_wait_for_a_store_that_is_away(tmp_path: Path, collector: Made) -> None:
    """What is on disk is safe: the next process stores it."""
    running = collector(FakeStore(lambda _batch, _token: ConnectionError("down")))
    running.submit(b"left behind", 1)
    ending = threading.Thread(target=running.stop, args=(3600,))
    ending.start()
    ending.join(60)
    assert not ending.is_alive()
    store = FakeStore()
    assert collector(store).flush(60)
    assert store.content == framed(b"left behind")


def test_a_log_has_one_writer(tmp_path: Path, collector: Made) -> None:
    """A second collector would store and remove what the first still writes; it is refused until the first ends."""
    first = collector(FakeStore())
    second = Collector(FakeStore(), tmp_path)
    with pytest.raises(LogInUse, match="in use by another process"):
        second.start()
    first.stop(5)
    second.start()
    second.stop(5)


def test_the_counters_are_json_after_a_refusal(collector: Made) -> None:
    """They are what `/readyz` answers with."""
    running = collector(FakeStore())
    running.refuse("UnreadableBody")
    running.refuse("UnreadableBody")
    assert json.loads(json.dumps(running.stats()))["refused"] == {"UnreadableBody": 2}
