"""driftline's own failures stay driftline's: one log line in production, an exception under test."""

from __future__ import annotations

import logging
import os
import sys
from types import TracebackType

_log = logging.getLogger("driftline")
_said: set[str] = set()


def strict() -> bool:
    """Whether our own errors are raised: under pytest, or with `DRIFTLINE_STRICT=1`."""
    word = os.environ.get("DRIFTLINE_STRICT")
    return word == "1" if word else "pytest" in sys.modules and "PYTEST_CURRENT_TEST" in os.environ


def warn_once(cause: str, message: str, *args: object) -> None:
    """Log *message* the first time *cause* is given in this process."""
    if cause not in _said:
        _said.add(cause)
        _log.warning(message, *args)


class guarded:  # noqa: N801 - used like a statement
    """Swallows what goes wrong inside the block, unless `strict`."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception) or strict():
            return False
        warn_once(
            f"{self._doing}:{type(error).__name__}",
            "driftline failed while %s (%s: %s). Your code runs on, with less telemetry.",
            self._doing,
            type(error).__name__,
            error,
        )
        return True
