"""Retries: each attempt its own span, all of one logical call."""

from __future__ import annotations

import functools
import inspect
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from driftline import _scope
from driftline import attributes as at

if TYPE_CHECKING:
    from typing_extensions import Self

_F = TypeVar("_F", bound=Callable[..., Any])
_Errors = type[BaseException] | tuple[type[BaseException], ...]
KEY = otel_context.create_key("driftline.attempt")


@dataclass
class Attempt:
    """One attempt of a call: tools and steps begun inside carry its number and the id of the logical call.

    Only the outermost of them do: what a tool, or an agent, does inside is not itself the retried call.
    """

    number: int
    call_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    max: int | None = None
    reason: str = ""
    retry_on: _Errors = ()
    error: BaseException | None = None
    _token: Token[Context] | None = field(default=None, repr=False)
    _calls: Counter[str] = field(default_factory=Counter, repr=False)
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def attributes(self, called: str, told_apart_by: str = "") -> dict[str, Any]:
        """The span attributes of a call of *called* made in this attempt.

        Several calls of one tool in one attempt are several logical calls: *told_apart_by* (a digest of the arguments,
        the targets) keeps each the same over all attempts whatever their order, counting parts those that are equal.
        """
        name = "/".join(filter(None, (self.call_id, called, told_apart_by)))
        with self._counting:
            self._calls[name] += 1
            count = self._calls[name]
        found = {
            at.CALL_ID: name if count == 1 else f"{name}#{count}",
            at.ATTEMPT: self.number,
            at.ATTEMPT_MAX: self.max,
            at.ATTEMPT_REASON: self.reason or None,
        }
        return {key: value for key, value in found.items() if value is not None}

    def __enter__(self) -> Self:
        self._token = otel_context.attach(otel_context.set_value(KEY, self))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> bool:
        _scope.detach(self._token)
        self.error = error
        last = self.max is not None and self.number >= self.max
        return error is not None and not last and isinstance(error, self.retry_on)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool:
        return self.__exit__(kind, error, tb)


def current_attempt(context: Context) -> Attempt | None:
    """The attempt that a call begun in *context* is."""
    found = context.get(KEY)
    return found if isinstance(found, Attempt) else None


def outside_attempt(context: Context) -> Context:
    """*context* for the inside of a call: what happens there is not itself the retried call."""
    return otel_context.set_value(KEY, None, context) if context.get(KEY) is not None else context


def attempt(number: int, *, call_id: str, max: int | None = None, reason: str = "") -> Attempt:  # noqa: A002
    """Attempt *number* (from 1) of the logical call *call_id*, for a retry loop of your own."""
    return Attempt(number, call_id, max, reason)


@dataclass(frozen=True)
class Attempts:
    """Attempts of one logical call, until one succeeds; iterate over it, or decorate a function with it."""

    max: int
    on: _Errors
    wait: float
    call_id: str | None

    def __iter__(self) -> Iterator[Attempt]:
        return _Series(self)

    def __aiter__(self) -> AsyncIterator[Attempt]:
        return _Series(self)

    def __call__(self, function: _F) -> _F:
        """Call *function* until it succeeds; each call of it is a logical call of its own."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                async for attempt in self:
                    with attempt:
                        return await function(*args, **kwargs)
                raise AssertionError("the last attempt returns or raises")

            return cast("_F", call_async)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for attempt in self:
                with attempt:
                    return function(*args, **kwargs)
            raise AssertionError("the last attempt returns or raises")

        return cast("_F", call)


class _Series:
    """One logical call's attempts, one after the other."""

    def __init__(self, of: Attempts) -> None:
        self._of = of
        self._call = of.call_id or str(uuid.uuid4())
        self._last: Attempt | None = None

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    def __next__(self) -> Attempt:
        if self._over():
            raise StopIteration
        if self._last and self._of.wait:
            time.sleep(self._of.wait)
        return self._next()

    async def __anext__(self) -> Attempt:
        if self._over():
            raise StopAsyncIteration
        if self._last and self._of.wait:
            import asyncio

            await asyncio.sleep(self._of.wait)
        return self._next()

    def _over(self) -> bool:
        return self._last is not None and (self._last.error is None or self._last.number >= self._of.max)

    def _next(self) -> Attempt:
        before = self._last
        reason = type(before.error).__name__ if before else ""
        number = before.number + 1 if before else 1
        self._last = Attempt(number, self._call, self._of.max, reason, self._of.on)
        return self._last


def attempts(
    max: int,  # noqa: A002
    *,
    on: _Errors = (Exception,),
    wait: float = 0.0,
    call_id: str | None = None,
) -> Attempts:
    """Attempts of one logical call, until one succeeds: ``for attempt in attempts(3): with attempt: …``.

    Also ``async for``, and as a decorator. Exceptions of the types *on* lead to the next attempt after *wait* seconds;
    the last attempt's is raised.

    Raises:
        ValueError: *max* is less than 1.
    """
    if max < 1:
        raise ValueError(f"attempts({max}): there must be at least one")
    return Attempts(max, on, wait, call_id)
