"""What stands in a segment of the log: records, each a header and a framed request, just as ClickHouse reads it.

The header holds a magic that names the signal, the payload's length, its CRC-32, and the number of items in it. A
record that was cut short was never acknowledged and is passed over. A whole record whose checksum is wrong *was*
acknowledged: the ones behind it are found again, and its bytes are handed out as damaged, never dropped unseen.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

_HEADER = struct.Struct("<4sIII")
_MAGICS = {"traces": b"DLW1", "logs": b"DLL1"}
_SIGNALS = {magic: signal for signal, magic in _MAGICS.items()}
_ANY_MAGIC = re.compile(b"|".join(_SIGNALS))


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


def pack(records: Sequence[Record]) -> bytes:
    """The records as they stand in a segment."""
    return b"".join(
        _HEADER.pack(_MAGICS[signal], len(payload), zlib.crc32(payload), items) + payload
        for payload, items, signal in records
    )


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
