"""The write-ahead log: what is acknowledged is on disk first.

A segment is a file of records (records.py). One that is closed never changes, and is inserted as one batch a signal
under its own name: a crash between the insert and the removal of the file repeats the insert under the same
deduplication token, which adds nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from driftline.collector.records import Contents, Record, pack, scan
from driftline.errors import DriftlineError

SUFFIX = ".wal"
_NAME = re.compile(rf"(\d{{12}})-[0-9a-f]{{12}}{re.escape(SUFFIX)}")


class LogInUse(DriftlineError):
    """Another process writes to this log."""


@dataclass(frozen=True)
class Segment:
    """A closed part of the log: *items* in *size* bytes. *token* identifies it for ever.

    *begun*: seconds since 1970 when its first request came, or soon after, if an earlier process wrote it.
    """

    path: Path
    token: str
    items: int
    size: int
    begun: float = field(default=0.0, compare=False)

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
        for path in self.paths():
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
        for path in self.paths():
            if path != self._path:
                data = path.read_bytes()
                contents = scan(data)
                yield _segment(path, contents.items, len(data), path.stat().st_mtime), contents

    def append(self, records: list[Record]) -> None:
        """Write *records* and return when they are on disk.

        Raises:
            OSError: the disk refused. None of *records* counts as written; the segment takes no more (`rotate` it).
        """
        self._leave_room()
        file = self._open()
        block = pack(records)
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
        begun = time.time() - (time.monotonic() - self._opened)
        self._file, self._path, self._good, self._items = None, None, 0, 0
        with suppress(OSError):  # what counts was synced; an empty file that stays is a segment of nothing
            if file is not None:
                os.close(file)
            if path is not None and not good:
                path.unlink(missing_ok=True)
        return _segment(path, items, good, begun) if path is not None and good else None

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

    def paths(self) -> list[Path]:
        """The files of its segments, oldest first, the one that is written to among them."""
        return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))


def _segment(path: Path, items: int, size: int, begun: float) -> Segment:
    return Segment(path, path.name.removesuffix(SUFFIX), items, size, begun)


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
