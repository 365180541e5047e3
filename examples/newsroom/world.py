"""What really happened outside: photos paid for, articles published, mails sent. driftline never looks in here.

The tests do: they compare what driftline concludes from the record with what the world says.
"""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path


class World:
    """The agency that sells photos, the website, the mailing list."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS charges (article TEXT, photo TEXT, size TEXT, order_key TEXT UNIQUE)"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS published (article TEXT, text TEXT)")
        self._db.execute("CREATE TABLE IF NOT EXISTS mails (article TEXT)")

    def charge(self, article: str, photo: str, size: str, order_key: str | None = None) -> str:
        """Sell a photo. The same order key is charged once, however often it is sent."""
        self._db.execute("INSERT OR IGNORE INTO charges VALUES (?, ?, ?, ?)", [article, photo, size, order_key])
        return f"receipt for {photo}"

    def publish(self, article: str, text: str) -> None:
        """Put an article on the website."""
        self._db.execute("INSERT INTO published VALUES (?, ?)", [article, text])

    def mail(self, article: str) -> None:
        """Tell the subscribers."""
        self._db.execute("INSERT INTO mails VALUES (?)", [article])

    def charges(self, article: str) -> int:
        """How often a photo was paid for."""
        return int(self._db.execute("SELECT count(*) FROM charges WHERE article = ?", [article]).fetchone()[0])

    def published(self, article: str) -> list[str]:
        """What was published."""
        return [row[0] for row in self._db.execute("SELECT text FROM published WHERE article = ?", [article])]

    def mails(self, article: str) -> int:
        """How often the subscribers were told."""
        return int(self._db.execute("SELECT count(*) FROM mails WHERE article = ?", [article]).fetchone()[0])


def chance(probability: float, *about: object) -> bool:
    """Whether something happens: by chance, but the same for the same *about*, in every process."""
    return random.Random("/".join(map(str, about))).random() < probability
