"""The write-ahead log: on disk before anybody is told so, readable whatever happened to its end."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from driftline.collector.records import Record, scan
from driftline.collector.wal import WriteAheadLog

ONE, TWO, THREE = Record(b"first record", 1), Record(b"second", 2, "logs"), Record(b"the third one", 3)


@pytest.fixture
def log(tmp_path: Path) -> WriteAheadLog:
    return WriteAheadLog(tmp_path / "log")


def whole(log: WriteAheadLog, *records: Record) -> bytes:
    """The bytes of a segment with these records."""
    for record in records:
        log.append([record])
    segment = log.rotate()
    assert segment is not None
    return segment.path.read_bytes()


def test_what_is_appended_is_synced_before_append_returns(log: WriteAheadLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file's name first, then its bytes, each followed by a sync."""
    calls: list[str] = []
    real_write, real_fsync = os.write, os.fsync

    def write(file: int, data: object) -> int:
        calls.append("write")
        return real_write(file, data)  # type: ignore[arg-type]

    def fsync(file: int) -> None:
        calls.append("sync folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "sync file")
        real_fsync(file)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "fsync", fsync)
    log.append([ONE, TWO])
    log.append([THREE])
    assert calls == ["sync folder", "write", "sync file", "write", "sync file"]


def test_a_segment_gives_back_what_was_appended(log: WriteAheadLog) -> None:
    """Records in order, one batch a signal; the token is the file's name."""
    log.append([ONE, TWO])
    log.append([THREE])
    segment = log.rotate()
    assert segment is not None
    contents = segment.read()
    assert contents.records == (ONE, TWO, THREE)
    assert contents.batches == {"traces": (ONE, THREE), "logs": (TWO,)}
    assert (contents.items, contents.damaged) == (6, ())
    assert segment.token == segment.path.stem
    assert [(segment, contents)] == list(log.closed_segments())


def test_a_tail_torn_anywhere_loses_only_the_unacknowledged_record(log: WriteAheadLog) -> None:
    """Cut at every byte of the last record: the others stay, nothing counts as damaged."""
    data = whole(log, ONE, TWO, THREE)
    begin = len(data) - len(THREE[0]) - 16
    for cut in range(begin, len(data)):
        contents = scan(data[:cut])
        assert (contents.records, contents.damaged) == ((ONE, TWO), ()), cut


def test_a_tail_of_zeros_is_torn_not_damaged(log: WriteAheadLog) -> None:
    """A power cut may leave a file at its length without its content."""
    data = whole(log, ONE)
    assert (scan(data + bytes(4096)).records, scan(data + bytes(4096)).damaged) == ((ONE,), ())


@pytest.mark.parametrize("place", ["magic", "length", "checksum", "payload"])
def test_a_corrupted_record_hides_none_behind_it(log: WriteAheadLog, place: str) -> None:
    """The records before and behind are found; the damaged bytes are handed out."""
    data = bytearray(whole(log, ONE, TWO, THREE))
    begin = 16 + len(ONE[0])
    data[begin + {"magic": 0, "length": 5, "checksum": 9, "payload": 16}[place]] ^= 0xFF
    contents = scan(bytes(data))
    assert contents.records == (ONE, THREE)
    assert (bytes(data[begin : begin + 16 + len(TWO[0])]),) == contents.damaged


def test_a_corrupted_last_record_is_damaged_not_torn(log: WriteAheadLog) -> None:
    """It is as long as it says, so it was acknowledged."""
    data = bytearray(whole(log, ONE, TWO))
    data[-1] ^= 0xFF
    contents = scan(bytes(data))
    assert contents.records == (ONE,)
    assert len(contents.damaged) == 1


def test_a_payload_that_looks_like_a_record_is_not_taken_for_one(log: WriteAheadLog) -> None:
    """Even when the record that holds it is damaged, only a right checksum counts."""
    data = whole(log, Record(b"xxDLW1" + bytes(12) + b"yy", 1), TWO)
    broken = bytes([data[0] ^ 1]) + data[1:]
    assert scan(broken).records == (TWO,)


def test_an_empty_segment_leaves_no_file(log: WriteAheadLog) -> None:
    """Nothing written, nothing handed on."""
    assert log.rotate() is None
    assert list(log.folder.iterdir()) == []


def test_an_empty_file_found_at_start_is_a_segment_of_nothing(tmp_path: Path) -> None:
    """A crash between creating the file and the first write."""
    (tmp_path / "000000000007-0123456789ab.wal").touch()
    log = WriteAheadLog(tmp_path)
    ((segment, _),) = log.closed_segments()
    assert (segment.read().records, segment.read().items) == ((), 0)
    log.append([ONE])
    assert [int(path.name[:12]) for path in tmp_path.iterdir() if path != segment.path] == [8]


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    """Somebody's notes beside the log are no segment."""
    (tmp_path / "notes.wal").write_text("hello")
    assert list(WriteAheadLog(tmp_path).closed_segments()) == []


def test_what_is_written_into_a_deleted_file_is_not_acknowledged(log: WriteAheadLog) -> None:
    """The file is still open, and every write into it would succeed, and be gone."""
    log.append([ONE])
    for path in log.folder.iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="somebody deleted"):
        log.append([TWO])
    log.rotate()
    log.append([THREE])
    second = log.rotate()
    assert second is not None
    assert second.read().records == (THREE,)


@pytest.mark.parametrize("truncation_works", [True, False])
def test_after_a_failed_sync_nothing_is_written_behind_it(
    log: WriteAheadLog, monkeypatch: pytest.MonkeyPatch, truncation_works: bool
) -> None:
    """The segment is given up; what it held is read, what failed does not count, the next append has a new file."""
    log.append([ONE])
    real = os.fsync

    def fails(_: int, _length: int = 0) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fails)
        if not truncation_works:
            broken.setattr(os, "ftruncate", fails)
        with pytest.raises(OSError, match="Input/output"):
            log.append([TWO])
    assert os.fsync is real
    first = log.rotate()
    assert first is not None
    log.append([THREE])
    second = log.rotate()
    assert second is not None
    assert first.read().records[0] == ONE
    assert first.path != second.path
    assert second.read().records == (THREE,)
    if truncation_works:
        assert first.read().records == (ONE,)


def test_a_file_whose_name_could_not_be_synced_is_not_used(log: WriteAheadLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """It might be gone after a power cut, with all that was acknowledged in it."""
    with monkeypatch.context() as broken:
        broken.setattr("driftline.collector.wal.sync_folder", _no_space)
        with pytest.raises(OSError, match="No space"):
            log.append([ONE])
    assert list(log.folder.iterdir()) == []
    log.append([TWO])
    segment = log.rotate()
    assert segment is not None
    assert segment.read().records == (TWO,)


def _no_space(_: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_size_counts_what_waits_and_returns_to_zero(tmp_path: Path) -> None:
    """One thread appends while another forgets; a restart counts what it finds."""
    log = WriteAheadLog(tmp_path)
    segments = []
    for _ in range(200):
        log.append([ONE])
        segments.append(log.rotate())
    assert WriteAheadLog(tmp_path).size == log.size == 200 * (16 + len(ONE[0]))
    forgetting = threading.Thread(target=lambda: [log.forget(segment) for segment in segments if segment])
    forgetting.start()
    for _ in range(200):
        log.append([TWO])
    forgetting.join()
    assert 200 * (16 + len(TWO[0])) == log.size == log.open_size
    last = log.rotate()
    assert last is not None
    log.forget(last)
    log.forget(last)
    assert log.size == 0
