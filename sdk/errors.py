"""The root of every error a user of driftline may see."""

from __future__ import annotations


class DriftlineError(Exception):
    """Something the user can act on: *what* happened, and *todo*, what to do about it."""

    def __init__(self, what: str, todo: str = "") -> None:
        super().__init__(what, todo)
        self.what = what
        self.todo = todo

    def __str__(self) -> str:
        return f"{self.what}; {self.todo}" if self.todo else self.what


class Refused(Exception):
    """Raise it (or a subclass) from a tool when the receiver declined and nothing changed."""
