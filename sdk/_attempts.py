"""Retries: each attempt its own span, all of one logical call."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from typing_extensions import Self

from driftline import attributes as at

_current: ContextVar[Attempt | None] = ContextVar("driftline.attempt", default=None)


@dataclass
class Attempt:
    """One attempt of a call: tools and steps begun inside carry its number and the id of the logical call.

    Only the outermost of them do: what a tool does inside is not itself the retried call.
    """

    number: int
    call_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    max: int | None = None
    reason: str = ""
    retry_on: tuple[type[BaseException], ...] = ()
    error: BaseException | None = None
    _token: Token[Attempt | None] | None = field(default=None, repr=False)

    def attributes(self, called: str) -> dict[str, Any]:
        """The span attributes of a call of *called* made in this attempt."""
        found = {
            at.CALL_ID: f"{self.call_id}/{called}",
            at.ATTEMPT: self.number,
            at.ATTEMPT_MAX: self.max,
            at.ATTEMPT_REASON: self.reason or None,
        }
        return {key: value for key, value in found.items() if value is not None}

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> bool:
        if self._token is not None:
            _current.reset(self._token)
        self.error = error
        last = self.max is not None and self.number >= self.max
        return error is not None and not last and isinstance(error, self.retry_on)


def current_attempt() -> Attempt | None:
    """The attempt in which the code runs."""
    return _current.get()


def attempt(number: int, *, call_id: str, max: int | None = None, reason: str = "") -> Attempt:  # noqa: A002
    """Attempt *number* (from 1) of the logical call *call_id*, for a retry loop of your own."""
    return Attempt(number, call_id, max, reason)


def attempts(
    max: int,  # noqa: A002
    *,
    on: tuple[type[BaseException], ...] = (Exception,),
    wait: float = 0.0,
    call_id: str | None = None,
) -> Iterator[Attempt]:
    """Attempts of one logical call, until one succeeds: ``for attempt in attempts(3): with attempt: …``.

    Exceptions of the types *on* lead to the next attempt after *wait* seconds; the last attempt's is raised.
    """
    call = call_id or str(uuid.uuid4())
    reason = ""
    for number in range(1, max + 1):
        this = Attempt(number, call, max, reason, on)
        yield this
        if this.error is None:
            return
        reason = type(this.error).__name__
        if wait:
            time.sleep(wait)
