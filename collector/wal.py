"""The write-ahead log: what is acknowledged is on disk first.

A segment is a file of records, each a header (magic, payload length, CRC-32 of the payload, number of items) and the
payload: a framed request, just as ClickHouse reads it. The magic says of which signal. A segment that is closed never
changes, and is inserted as one batch a signal under its own name: a crash between the insert and the removal of the
file repeats the insert under the same deduplication token, which adds nothing.

A record that was cut short was never acknowledged and is passed over. A whole record whose checksum is wrong *was*
acknowledged: the ones behind it are found again, and its bytes are handed out as damaged, never dropped unseen.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from driftline.errors import DriftlineError

_HEADER = struct.Struct("<4sIII")
_MAGICS = {"traces": b"DLW1", "logs": b"DLL1"}
_SIGNALS = {magic: signal for signal, magic in _MAGICS.items()}
_ANY_MAGIC = re.compile(b"|".join(_SIGNALS))
SUFFIX = ".wal"
_NAME = re.compile(rf"(\d{{12}})-[0-9a-f]{{12}}{re.escape(SUFFIX)}")


class LogInUse(DriftlineError):
    """Another process writes to this log."""


class Record(NamedTuple):
    """A framed request of *signal* that holds so many *items* (spans or log records)."""

    payload: bytes
    items: int
    signal: str = "traces"


@dataclass(frozen=True)
class Contents:
    """What a segment holds: whole records, and the bytes of damaged ones."""

    records: tuple[Record, ...]
    damaged: tuple[bytes, ...]

    @property
    def batches(self) -> dict[str, tuple[Record, ...]]:
        """The whole records by signal, in their order."""
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record.signal, []).append(record)
        return {signal: tuple(records) for signal, records in found.items()}

    @property
    def items(self) -> int:
        """The number of items in the whole records."""
        return sum(record.items for record in self.records)


@dataclass(frozen=True)
class Segment:
    """A closed part of the log: *items* in *size* bytes. *token* identifies it for ever."""

    path: Path
    token: str
    items: int
    size: int

    def read(self) -> Contents:
        """What it holds."""
        return scan(self.path.read_bytes())


class WriteAheadLog:
    """An append-only log in *folder*: one thread writes, another may forget what is stored.

    It leaves *reserve* bytes of its disk free.
    """

    def __init__(self, folder: Path, reserve: int = 0) -> None:
        self.folder = folder
        self._reserve = reserve
        folder.mkdir(parents=True, exist_ok=True)
        self._held: int | None = None
        self._file: int | None = None
        self._path: Path | None = None
        self._good = 0
        self._items = 0
        self._opened = 0.0
        self._lock = threading.Lock()
        self._size = 0
        self._number = 0
        for path in self._files():
            self._number = max(self._number, int(path.name.partition("-")[0]))
            self._size += path.stat().st_size

    def hold(self) -> None:
        """Keep other processes away until `release`: what one still writes, another would store and remove.

        Raises:
            LogInUse: another process holds it.
        """
        held = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(held)
            raise LogInUse(
                f"the log in {self.folder} is in use by another process", "stop that process, or use another --data"
            ) from error
        self._held = held

    def release(self) -> None:
        """Let others in."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    @property
    def size(self) -> int:
        """Bytes in the log: what waits to be stored."""
        return self._size

    @property
    def open_size(self) -> int:
        """Bytes in the segment that is written to."""
        return self._good if self._file is not None else 0

    @property
    def open_age(self) -> float:
        """Seconds since the segment that is written to was begun; 0 when there is none."""
        return time.monotonic() - self._opened if self._file is not None else 0.0

    def closed_segments(self) -> Iterator[tuple[Segment, Contents]]:
        """The segments that wait to be stored, oldest first, and what each holds."""
        for path in self._files():
            if path != self._path:
                data = path.read_bytes()
                contents = scan(data)
                yield _segment(path, contents.items, len(data)), contents

    def append(self, records: list[Record]) -> None:
        """Write *records* and return when they are on disk.

        Raises:
            OSError: the disk refused. None of *records* counts as written; the segment takes no more (`rotate` it).
        """
        self._leave_room()
        file = self._open()
        block = b"".join(
            _HEADER.pack(_MAGICS[signal], len(payload), zlib.crc32(payload), items) + payload
            for payload, items, signal in records
        )
        try:
            _write_all(file, block)
            os.fsync(file)
            if not os.fstat(file).st_nlink:
                raise FileNotFoundError(errno.ENOENT, "somebody deleted the segment that is written to")
        except OSError:
            # After a failed fsync nobody knows what is on disk. Cut off what was not acknowledged, as far as that
            # works, and never write behind it.
            self._abandon(file)
            raise
        self._good += len(block)
        self._items += sum(record.items for record in records)
        self._grow(len(block))

    def rotate(self) -> Segment | None:
        """Close the segment that is written to; None when there is nothing in it."""
        file, path, good, items = self._file, self._path, self._good, self._items
        self._file, self._path, self._good, self._items = None, None, 0, 0
        with suppress(OSError):  # what counts was synced; an empty file that stays is a segment of nothing
            if file is not None:
                os.close(file)
            if path is not None and not good:
                path.unlink(missing_ok=True)
        return _segment(path, items, good) if path is not None and good else None

    def probe(self) -> None:
        """Write and sync something as `append` would.

        Raises:
            OSError: the disk refuses.
        """
        self._leave_room()
        path = self.folder / "probe"
        try:
            file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            try:
                _write_all(file, bytes(65536))
                os.fsync(file)
            finally:
                os.close(file)
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def forget(self, segment: Segment) -> None:
        """Remove a segment whose items are stored, or that somebody removed."""
        segment.path.unlink(missing_ok=True)
        with suppress(OSError):  # a file that comes back is inserted once more under its token, which adds nothing
            sync_folder(self.folder)
        self._grow(-segment.size)

    def _open(self) -> int:
        if self._file is None:
            if self._path is not None:
                raise RuntimeError("the segment was given up after an error: rotate first")
            self._number += 1
            path = self.folder / f"{self._number:012d}-{uuid.uuid4().hex[:12]}{SUFFIX}"
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
            try:
                # Without this the file itself may be gone after a power cut, whatever was synced inside it.
                sync_folder(self.folder)
            except OSError:
                os.close(file)
                path.unlink(missing_ok=True)
                raise
            self._path, self._file, self._good, self._opened = path, file, 0, time.monotonic()
        return self._file

    def _leave_room(self) -> None:
        if self._reserve:
            disk = os.statvfs(self.folder)
            if disk.f_bavail * disk.f_frsize < self._reserve:
                raise OSError(errno.ENOSPC, f"less than {self._reserve // 2**20} MiB are free on its disk")

    def _abandon(self, file: int) -> None:
        try:
            os.ftruncate(file, self._good)
        except OSError:
            pass
        finally:
            self._file = None
            os.close(file)

    def _grow(self, number: int) -> None:
        with self._lock:
            self._size = max(0, self._size + number)

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))


def _segment(path: Path, items: int, size: int) -> Segment:
    return Segment(path, path.name.removesuffix(SUFFIX), items, size)


def scan(data: bytes) -> Contents:
    """The whole records in *data*, wherever they stand, and the damaged ones."""
    records: list[Record] = []
    damaged: list[bytes] = []
    position = 0
    while position < len(data):
        record = _record_at(data, position)
        if record is not None:
            records.append(record)
            position += _HEADER.size + len(record.payload)
            continue
        following = _next_record(data, position + 1)
        # Nothing whole behind it, and shorter than its header says: the tail a crash has torn off.
        if following < len(data) or not _torn(data, position):
            damaged.append(data[position:following])
        position = following
    return Contents(tuple(records), tuple(damaged))


def _record_at(data: bytes, position: int) -> Record | None:
    if position + _HEADER.size > len(data):
        return None
    magic, length, checksum, items = _HEADER.unpack_from(data, position)
    end = position + _HEADER.size + length
    if magic not in _SIGNALS or not length or end > len(data):
        return None
    payload = data[position + _HEADER.size : end]
    return Record(payload, items, _SIGNALS[magic]) if zlib.crc32(payload) == checksum else None


def _next_record(data: bytes, start: int) -> int:
    for found in _ANY_MAGIC.finditer(data, start):
        if _record_at(data, found.start()) is not None:
            return found.start()
    return len(data)


def _torn(data: bytes, position: int) -> bool:
    tail = data[position:]
    if not tail.strip(b"\0") or len(tail) < _HEADER.size:
        return True
    magic, length, _, _ = _HEADER.unpack_from(tail)
    # A power cut may leave a file at its full length with zeros where the end of the record should be.
    return magic in _SIGNALS and (len(tail) < _HEADER.size + length or tail.endswith(b"\0" * 512))


def _write_all(file: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(file, view) :]


def sync_folder(folder: Path) -> None:
    """Make created and removed names in *folder* last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
