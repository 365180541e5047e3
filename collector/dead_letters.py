"""What cannot be stored is set aside with its reason, on disk before the log forgets it."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from driftline.collector.wal import sync_folder

_log = logging.getLogger("driftline.collector")


class DeadLetters:
    """A folder of requests, each batch `TOKEN.KIND` with a `TOKEN.KIND.json` that says why."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def count(self) -> int:
        """How many batches lie there."""
        return len(list(self.folder.glob("*.json"))) if self.folder.is_dir() else 0

    def keep(self, token: str, requests: Sequence[bytes], reason: str, kind: str) -> None:
        """Set *requests* of the batch *token* aside. Keeping the same again changes nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        said = {"token": token, "kind": kind, "requests": len(requests), "reason": reason, "at": time.time()}
        _write(self.folder / f"{token}.{kind}", b"".join(requests))
        _write(self.folder / f"{token}.{kind}.json", json.dumps(said, indent=1).encode())
        sync_folder(self.folder)
        _log.error("%d requests were set aside in %s: %s", len(requests), self.folder, reason)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
