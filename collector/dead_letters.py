"""What cannot be stored is set aside with its reason, on disk before the log forgets it; and comes back on request."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from driftline.collector.wal import sync_folder
from driftline.errors import DriftlineError

_log = logging.getLogger("driftline.collector")


class NoSuchLetter(DriftlineError):
    """A dead letter was named that does not lie there."""


class CannotReplay(DriftlineError):
    """A dead letter whose bytes are not what was sent."""


@dataclass(frozen=True)
class Letter:
    """Requests of one batch that were set aside. *kind*: `refused` by ClickHouse, or `damaged` on disk."""

    name: str
    kind: str
    signal: str
    requests: int
    size: int  # bytes; 0 when they are gone
    reason: str
    at: float  # seconds since 1970


class Taking(Protocol):
    """Who takes requests again: a collector."""

    def submit(self, request: bytes, items: int, signal: str = "traces") -> None:
        """Write down a serialized request; returns when it is on disk."""


class DeadLetters:
    """A folder of requests, each batch `TOKEN.KIND` with a `TOKEN.KIND.json` that says why."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def count(self) -> int:
        """How many batches lie there."""
        return len(list(self.folder.glob("*.json"))) if self.folder.is_dir() else 0

    def newest(self) -> str:
        """The name of the batch set aside last, "" when there is none."""
        with suppress(OSError):  # one that is discarded meanwhile
            notes = [(path.stat().st_mtime, path.stem) for path in self.folder.glob("*.json")]
            return max(notes)[1] if notes else ""
        return ""

    def keep(self, token: str, requests: Sequence[bytes], reason: str, kind: str, signal: str = "traces") -> None:
        """Set *requests* of the batch *token* aside. Keeping the same again changes nothing."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what was sent, as it was sent
        said = {
            "token": token, "kind": kind, "signal": signal, "requests": len(requests), "reason": reason,
            "at": time.time(),
        }  # fmt: skip
        _write(self.folder / f"{token}.{kind}", b"".join(requests))
        _write(self.folder / f"{token}.{kind}.json", json.dumps(said, indent=1).encode())
        sync_folder(self.folder)
        _log.error("%d requests were set aside in %s: %s", len(requests), self.folder, reason)

    def letters(self) -> list[Letter]:
        """What lies there, oldest first."""
        paths = sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []
        return sorted((_letter(path) for path in paths), key=lambda letter: (letter.at, letter.name))

    def letter(self, name: str) -> Letter:
        """The letter *name*.

        Raises:
            NoSuchLetter: it does not lie there.
        """
        found = [letter for letter in self.letters() if letter.name == name]
        if not found:
            raise NoSuchLetter(
                f"there is no dead letter {name!r} in {self.folder}", "`driftline dead-letters list` names those there"
            )
        return found[0]

    def content(self, letter: Letter) -> bytes:
        """The bytes of *letter*: requests, each framed by its length."""
        return (self.folder / letter.name).read_bytes() if letter.size else b""

    def discard(self, letter: Letter) -> None:
        """Remove *letter* for good."""
        (self.folder / letter.name).unlink(missing_ok=True)  # first, as it is nothing without the other
        (self.folder / f"{letter.name}.json").unlink(missing_ok=True)
        (self.folder / f"{letter.name}.replay").unlink(missing_ok=True)
        sync_folder(self.folder)

    def check_replayable(self, letter: Letter) -> None:
        """Make sure that *letter* holds what was sent.

        Raises:
            CannotReplay: it does not.
        """
        if letter.kind != "refused":
            raise CannotReplay(
                f"{letter.name} is damaged: its bytes are not what was sent",
                "look at it with `driftline dead-letters show`, then `driftline dead-letters discard` it",
            )

    def want(self, letter: Letter) -> None:
        """Ask the collector that has the folder, in another process perhaps, to replay *letter* when it has time."""
        (self.folder / f"{letter.name}.replay").touch()

    def wanted(self) -> list[Letter]:
        """The letters that somebody wants replayed."""
        names = {path.name.removesuffix(".replay") for path in self.folder.glob("*.replay")}
        return [letter for letter in self.letters() if letter.name in names] if names else []

    def replay(self, letter: Letter, collector: Taking) -> int:
        """Hand the requests of *letter* to *collector* again, and discard it; returns how many there were.

        What ClickHouse refuses again becomes a new letter.

        Raises:
            CannotReplay: it is damaged.
            RefusedRequest: the collector takes nothing at present; the letter stays.
        """
        self.check_replayable(letter)
        requests = list(unframed(self.content(letter)))
        for request in requests:
            collector.submit(request, items_in(request, letter.signal), letter.signal)
        self.discard(letter)
        return len(requests)


def unframed(data: bytes) -> Iterator[bytes]:
    """The messages in length-delimited *data*; what is cut short at its end is passed over."""
    position = 0
    while position < len(data):
        length = shift = 0
        while True:
            byte = data[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or position >= len(data):
                break
        if position + length > len(data):
            return
        yield data[position : position + length]
        position += length


def items_in(request: bytes, signal: str = "traces") -> int:
    """How many spans or log records a request holds; 1 when it cannot be read, so that it is not passed over."""
    return len(_names(request, signal) or ["?"])


def described(request: bytes, signal: str) -> str:
    """What a request holds, in words."""
    names = _names(request, signal)
    if names is None:
        return f"not readable as {signal}"
    shown = ", ".join(dict.fromkeys(name for name in names if name))
    return f"{len(names)} {'spans' if signal == 'traces' else 'log records'}{f': {shown[:200]}' if shown else ''}"


def _names(request: bytes, signal: str) -> list[str] | None:
    """The names of the spans or events in a request; None when it cannot be read."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        if signal == "logs":
            logs = ExportLogsServiceRequest.FromString(request)
            scopes = (scoped for group in logs.resource_logs for scoped in group.scope_logs)
            return [record.event_name for scoped in scopes for record in scoped.log_records]
        traces = ExportTraceServiceRequest.FromString(request)
    except DecodeError:
        return None
    return [span.name for group in traces.resource_spans for scoped in group.scope_spans for span in scoped.spans]


def _letter(path: Path) -> Letter:
    """The letter that the file *path* tells of; an unreadable one is still a letter."""
    data = path.with_suffix("")
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        said = {}
    if not isinstance(said, dict):
        said = {}
    return Letter(
        name=data.name,
        kind=str(said.get("kind", data.suffix[1:])),
        signal=str(said.get("signal", "traces")),
        requests=int(said.get("requests", 0)),
        size=data.stat().st_size if data.is_file() else 0,
        reason=str(said.get("reason", f"{path.name} cannot be read")),
        at=float(said.get("at", 0.0)),
    )


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
