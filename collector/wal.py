"""The write-ahead log: what is acknowledged is on disk first.

A segment is a file of records, each a header (magic, payload length, CRC-32 of the payload, span count) and the payload: a framed request,
just as ClickHouse reads it. A segment that is closed never changes, and is inserted as one batch under its own name: a
crash between the insert and the removal of the file repeats the insert under the same deduplication token, which adds
nothing. A torn tail is cut when the log is opened.
"""

from __future__ import annotations

import os
import struct
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<4sIII")
_MAGIC = b"DLW1"
SUFFIX = ".wal"


@dataclass(frozen=True)
class Segment:
    """A closed part of the log. *token* identifies it for ever."""

    path: Path
    token: str

    def read(self) -> tuple[bytes, int]:
        """All payloads, one behind the other, and the number of spans in them."""
        records, _ = _scan(self.path.read_bytes())
        return b"".join(payload for payload, _ in records), sum(spans for _, spans in records)

    def records(self) -> list[bytes]:
        """Each payload by itself."""
        return [payload for payload, _ in _scan(self.path.read_bytes())[0]]

    def remove(self) -> None:
        """Forget the segment: its spans are stored."""
        self.path.unlink(missing_ok=True)
        _sync_folder(self.path.parent)


class WriteAheadLog:
    """An append-only log in *folder*. Not thread-safe: one writer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._number = 0
        self._file: int | None = None
        self._path: Path | None = None
        self._good = 0
        self.size = 0
        for path in self._files():
            self._number = max(self._number, int(path.name.partition("-")[0]))
            self._mend(path)

    def closed_segments(self) -> list[Segment]:
        """The segments that wait to be stored, oldest first."""
        return [Segment(path, path.name.removesuffix(SUFFIX)) for path in self._files() if path != self._path]

    def append(self, payloads: list[tuple[bytes, int]]) -> None:
        """Write framed requests (with their span counts) and return when they are on disk.

        Raises:
            OSError: the disk refused; nothing of *payloads* is in the log then.
        """
        file = self._open()
        block = b"".join(
            _HEADER.pack(_MAGIC, len(payload), zlib.crc32(payload), spans) + payload for payload, spans in payloads
        )
        try:
            _write_all(file, block)
            os.fsync(file)
        except OSError:
            # What a failed write left behind must not be taken for a record, nor hide the ones that follow.
            os.ftruncate(file, self._good)
            raise
        self._good += len(block)
        self.size += len(block)

    @property
    def open_size(self) -> int:
        """Bytes in the segment that is written to."""
        return self._good if self._file is not None else 0

    def rotate(self) -> Segment | None:
        """Close the segment that is written to; None when there is nothing in it."""
        if self._file is None or self._path is None:
            return None
        os.close(self._file)
        path, self._file, self._path, self._good = self._path, None, None, 0
        return Segment(path, path.name.removesuffix(SUFFIX))

    def forget(self, segment: Segment) -> None:
        """Remove a stored segment."""
        self.size -= segment.path.stat().st_size if segment.path.exists() else 0
        segment.remove()

    def _open(self) -> int:
        if self._file is None:
            self._number += 1
            self._path = self.folder / f"{self._number:012d}-{uuid.uuid4().hex[:12]}{SUFFIX}"
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
            self._good = 0
            _sync_folder(self.folder)
        return self._file

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SUFFIX}"))

    def _mend(self, path: Path) -> None:
        data = path.read_bytes()
        records, good = _scan(data)
        if not records:
            path.unlink()
        elif good < len(data):
            with path.open("r+b") as file:
                file.truncate(good)
                os.fsync(file.fileno())
        self.size += good


def _scan(data: bytes) -> tuple[list[tuple[bytes, int]], int]:
    """The whole records at the beginning of *data*, and where they end."""
    records, position = [], 0
    while position + _HEADER.size <= len(data):
        magic, length, checksum, spans = _HEADER.unpack_from(data, position)
        payload = data[position + _HEADER.size : position + _HEADER.size + length]
        if magic != _MAGIC or len(payload) != length or zlib.crc32(payload) != checksum:
            break
        records.append((payload, spans))
        position += _HEADER.size + length
    return records, position


def _write_all(file: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
