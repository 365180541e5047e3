"""The queue between the agents: a table of messages. The run travels in a message's headers."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import driftline


@dataclass(frozen=True)
class Job:
    """An article to be made. *mistake*: the one somebody will make on the way; '' = none."""

    article: str
    topic: str
    seed: str
    mistake: str = ""


@dataclass(frozen=True)
class Message:
    """What one process told another. *headers* is driftline's: it ties the receiver to the sender's run."""

    inbox: str
    job: Job
    task: str
    headers: dict[str, str]
    body: dict[str, Any]


class Post:
    """Inboxes by name. A message is taken once."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, timeout=30, isolation_level=None)
        self._db.execute("CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, inbox TEXT, message TEXT)")

    def send(self, inbox: str, job: Job, task: str, **body: Any) -> None:
        """Hand work over, as a step of the current run."""
        with driftline.send(inbox) as sending:
            self.put(inbox, job, task, sending.carrier, **body)

    def put(self, inbox: str, job: Job, task: str, headers: dict[str, str] | None = None, **body: Any) -> None:
        """Leave a message without telling driftline."""
        text = json.dumps({"job": asdict(job), "task": task, "headers": headers or {}, "body": body})
        self._db.execute("INSERT INTO messages (inbox, message) VALUES (?, ?)", [inbox, text])

    def take(self, inbox: str, *, timeout: float) -> Message:
        """The next message of an inbox; waits for one.

        Raises:
            TimeoutError: none came for *timeout* seconds.
        """
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            row = self._db.execute(
                "DELETE FROM messages WHERE id = (SELECT min(id) FROM messages WHERE inbox = ?) RETURNING message",
                [inbox],
            ).fetchall()
            if row:
                said = json.loads(row[0][0])
                return Message(inbox, Job(**said["job"]), said["task"], said["headers"], said["body"])
            time.sleep(0.002)
        raise TimeoutError(f"no message in {inbox!r} for {timeout:.0f} s")
