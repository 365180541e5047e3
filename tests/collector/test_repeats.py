"""A request sent again, byte for byte: answered as a success once the first is on disk, and never taken twice."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_store import FakeStore, refuse

from driftline.collector import Collector
from driftline.collector.otlp import LogFull, framed
from driftline.collector.records import Record
from driftline.collector.repeats import Repeats, digest


def running(folder: Path, store: FakeStore, **settings: int) -> Collector:
    """A collector that has begun."""
    found = Collector(store, folder, **settings)
    found.start()
    return found


def down(_batch: bytes, _token: str) -> Exception:
    """What a store that is away says."""
    return ConnectionError("down")


def test_a_repeat_is_a_success_and_adds_nothing(tmp_path: Path) -> None:
    """Before it is stored, and after; equal bytes of another signal are another request."""
    store = FakeStore()
    collector = running(tmp_path, store)
    for _ in range(3):
        collector.submit(b"one", 4)
    assert collector.flush(60)
    collector.submit(b"one", 4)
    collector.submit(b"one", 4, "logs")
    assert collector.flush(60)
    collector.stop(5)
    assert sorted(store.batches.values()) == [framed(b"one")] * 2
    stats = collector.stats()
    assert (stats["acknowledged"], stats["stored"], stats["repeated"]) == (8, 8, 3)


def test_a_repeat_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first is being synced nothing is acknowledged, to neither sender."""
    collector = running(tmp_path, FakeStore())
    collector.submit(b"opens the first segment", 1)
    held, release = threading.Event(), threading.Event()
    real = os.fsync

    def fsync(file: int) -> None:
        held.set()
        assert release.wait(60)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(collector.submit, b"same", 1)
        assert held.wait(60)
        second = pool.submit(collector.submit, b"same", 1)
        with pytest.raises(TimeoutError):
            second.result(0.2)
        assert not first.done()
        release.set()
        first.result(60)
        second.result(60)
    assert collector.flush(60)
    collector.stop(5)
    assert (collector.stats()["acknowledged"], collector.stats()["repeated"]) == (2, 1)


def test_a_first_that_failed_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk refused is taken when it is sent again."""
    store = FakeStore()
    collector = running(tmp_path, store)
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", _no_space)
        for _ in range(2):
            with pytest.raises(LogFull):
                collector.submit(b"request", 1)
    collector.submit(b"request", 1)
    assert collector.flush(60)
    collector.stop(5)
    assert (store.content, collector.stats()["repeated"]) == (framed(b"request"), 0)


def test_a_log_at_its_limit_still_knows_what_it_holds(tmp_path: Path) -> None:
    """The sender of something that is on disk need not keep it."""
    collector = running(tmp_path, FakeStore(down), log_limit=100)
    collector.submit(bytes(200), 1)
    collector.submit(bytes(200), 1)
    for _ in range(2):
        with pytest.raises(LogFull):
            collector.submit(b"new", 1)
    collector.stop(0.1)
    assert collector.stats()["repeated"] == 1


@pytest.mark.parametrize("stored", [False, True], ids=["still in the log", "stored"])
def test_the_next_process_recognises_it_too(tmp_path: Path, stored: bool) -> None:
    """The answer was lost with the process: the sender repeats to the next one."""
    first = running(tmp_path, FakeStore() if stored else FakeStore(down))
    first.submit(b"request", 1)
    assert first.flush(60 if stored else 0) == stored
    first.stop(0.1)
    store = FakeStore()
    second = running(tmp_path, store)
    second.submit(b"request", 1)
    assert second.flush(60)
    second.stop(5)
    assert store.content == (b"" if stored else framed(b"request"))
    assert second.stats()["repeated"] == 1


def test_what_was_set_aside_is_taken_again(tmp_path: Path) -> None:
    """It is not stored; whoever sends it again may have mended the reason."""
    store = FakeStore(refuse(b"poison"))
    collector = running(tmp_path, store)
    collector.submit(b"good", 1)
    collector.submit(b"poison", 1)
    assert collector.flush(60)
    store.fails = lambda _batch, _token: None
    collector.submit(b"poison", 1)
    assert collector.flush(60)
    collector.stop(5)
    assert store.content == framed(b"good") + framed(b"poison")


def test_what_was_lost_is_taken_again(tmp_path: Path) -> None:
    """Somebody deleted the log; its sender may still have it."""
    gone = threading.Event()
    store = FakeStore(lambda _b, _t: None if gone.is_set() else ConnectionError("down"))
    collector = running(tmp_path, store)
    collector.submit(b"request", 1)
    collector.flush(0.3)
    for path in (tmp_path / "log").iterdir():
        path.unlink()
    gone.set()
    assert collector.flush(60)
    collector.submit(b"request", 1)
    assert collector.flush(60)
    collector.stop(5)
    assert (store.content, collector.stats()["lost"]) == (framed(b"request"), 1)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """The oldest are forgotten, in the process and in the file."""
    repeats = Repeats(tmp_path / "acknowledged", capacity=4)
    digests = [digest(Record(b"%d" % number, 1)) for number in range(40)]
    for one in digests:
        fate, mine = repeats.claim(one)
        assert fate is not None
        assert mine
        fate.set_result(None)
        repeats.save([one])
    assert [repeats.claim(one)[1] for one in digests[-4:]] == [False] * 4
    assert (tmp_path / "acknowledged").stat().st_size <= 16 * 9
    later = Repeats(tmp_path / "acknowledged", capacity=4)
    assert [later.claim(one)[1] for one in digests[-4:]] == [False] * 4
    assert later.claim(digests[0])[1]


def test_a_torn_file_of_digests_spoils_none_behind_the_tear(tmp_path: Path) -> None:
    """A process died amid writing one."""
    file = tmp_path / "acknowledged"
    one, two = (digest(Record(text, 1)) for text in (b"one", b"two"))
    file.write_bytes(one + two[:7])
    Repeats(file).save([two])
    later = Repeats(file)
    assert [later.claim(which)[1] for which in (one, two)] == [False, False]


def _no_space(*_: object) -> int:
    raise OSError(28, "No space left on device")
