"""driftline's own failures stay driftline's: one log line in production, an exception under test."""

from __future__ import annotations

import logging
import os
import sys
from types import TracebackType

_log = logging.getLogger("driftline")
_said: set[str] = set()


def strict() -> bool:
    """Whether our own errors are raised: under pytest, unless `DRIFTLINE_STRICT` says 1 or 0."""
    word = os.environ.get("DRIFTLINE_STRICT")
    return word == "1" if word else "pytest" in sys.modules and "PYTEST_CURRENT_TEST" in os.environ


def warn_once(cause: str, message: str, *args: object) -> None:
    """Log *message* the first time *cause* is given in this process."""
    if cause not in _said:
        _said.add(cause)
        _log.warning(message, *args)


def described(error: BaseException) -> str:
    """The text of *error*, also when its own `__str__` fails."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - any class may be raised, with any __str__
        return "(no description)"


def swallow(doing: str, error: Exception) -> None:
    """Log *error* once, or raise it if `strict`."""
    if strict():
        raise error
    warn_once(
        f"{doing}:{type(error).__name__}",
        "driftline failed while %s (%s: %s). Your code runs on, with less telemetry.",
        doing,
        type(error).__name__,
        described(error),
    )


class guarded:  # noqa: N801 - used like a statement
    """Swallows what goes wrong inside the block, unless `strict`."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        swallow(self._doing, error)
        return True
