"""The notebook all agents share: a store that keeps every version and lets nobody overwrite what they have not seen."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftline import memory

STORE = "notebook"


class Conflict(Exception):
    """Somebody else has written a newer version meanwhile."""


@dataclass(frozen=True)
class Note:
    """One version of one page."""

    key: str
    version: str
    value: Any

    @property
    def ref(self) -> str:
        """How spans refer to it."""
        return f"{STORE}/{self.key}@{self.version}"


class Notebook:
    """Pages by key. Versions are v1, v2, …; a page that was torn out has a last version without a value.

    Every access is told to driftline with the version it saw or made: that is all it takes to find out later that
    somebody worked from a page that had been replaced.
    """

    # The primary key is the compare-and-set: a version is made once.
    _insert = "INSERT INTO pages VALUES (?, ?, ?)"

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS pages (key TEXT, version INT, value TEXT, PRIMARY KEY (key, version))"
        )

    def read(self, key: str) -> Note:
        """The newest version of a page."""
        with memory.read(STORE, key) as reading:
            note = self.newest(key)
            reading.observed(note.version)
        return note

    def read_all(self, keys: Iterable[str]) -> list[Note]:
        """Several pages at once."""
        wanted = list(keys)
        with memory.read(STORE, wanted) as reading:
            notes = [self.newest(key) for key in wanted]
            reading.observed({note.key: note.version for note in notes})
        return notes

    def write(self, key: str, value: Any, *, after: Note | None) -> Note:
        """A new version, made from the version *after* (None: the page is new).

        Raises:
            Conflict: the page has a newer version already; read it and think again.
        """
        with memory.write(STORE, key, parents=[after.version if after else None]) as writing:
            note = self._put(key, value, after)
            writing.wrote(note.version)
            writing.content(value)
        return note

    def tear_out(self, note: Note) -> None:
        """Delete a page. That makes a version too: what came after it was not there."""
        with memory.delete(STORE, note.key, parents=[note.version]) as deleting:
            deleting.wrote(self._put(note.key, None, note).version)

    def newest(self, key: str) -> Note:
        """Look at a page without telling anybody; for `read`, and for waiting."""
        return self._page(key, behind=0)

    def _page(self, key: str, behind: int) -> Note:
        with self._lock:
            row = self._db.execute(
                "SELECT version, value FROM pages WHERE key = ? ORDER BY version DESC LIMIT 1 OFFSET ?", [key, behind]
            ).fetchone()
        if row is None:
            raise KeyError(key)
        return Note(key, f"v{row[0]}", json.loads(row[1]))

    def _put(self, key: str, value: Any, after: Note | None) -> Note:
        version = int(after.version[1:]) + 1 if after else 1
        with self._lock:
            try:
                self._db.execute(self._insert, [key, version, json.dumps(value)])
            except sqlite3.IntegrityError as error:
                raise Conflict(f"{key} has a version v{version} already") from error
        return Note(key, f"v{version}", value)
