"""One traced operation: a context manager and a decorator, over one span."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from types import CodeType, TracebackType
from typing import Any, Generic, TypeVar, cast, overload

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from driftline import _scope
from driftline import attributes as at
from driftline._guard import guarded
from driftline._payload import capture_arguments, capture_result, safe_value
from driftline._process import tick
from driftline._settings import settings

_F = TypeVar("_F", bound=Callable[..., Any])
_H = TypeVar("_H", bound="Handle")
_PACKAGE = __name__.rpartition(".")[0] + "."


class Handle:
    """What a `with` block yields: says things about its span. Every method is safe to call at any time."""

    def __init__(self, operation: Operation[Any]) -> None:
        self._operation = operation
        self.span: trace.Span = trace.INVALID_SPAN
        self._said: set[str] = set()

    def set(self, key: str, value: Any) -> None:
        """Set any attribute; a value OpenTelemetry cannot carry is made safe or left out."""
        with guarded("setting an attribute"):
            safe = safe_value(value)
            if safe is not None:
                self._said.add(key)
                self.span.set_attribute(key, safe)

    def outcome(self, claim: str) -> None:
        """What the program itself claims: complete, partial, failed or cancelled."""
        if claim not in ("complete", "partial", "failed", "cancelled"):
            raise ValueError(f"outcome {claim!r}: use complete, partial, failed or cancelled")
        self.set(at.OUTCOME, claim)

    def fail(self, reason: str = "") -> None:
        """Mark the operation as failed although nothing was raised."""
        self.span.set_status(Status(StatusCode.ERROR, reason))

    @property
    def context(self) -> trace.SpanContext:
        """The span's own context, for links."""
        return self.span.get_span_context()


class Operation(Generic[_H]):
    """What to trace: the span's name, kind and first attributes. Use with `with`, or as a decorator.

    An instance may be entered many times, also at once; each entry is a span of its own.
    """

    handle_type: type[Handle] = Handle
    kind = SpanKind.INTERNAL
    captures = False
    announces = False

    def __init__(self, name: str, attributes: Mapping[str, Any], scope: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.attributes = {key: value for key, value in attributes.items() if value is not None}
        self.scope = dict(scope or {})
        self._open: list[tuple[_H, Any]] = []
        self._site: tuple[str, int, str] | None = None

    # -- what kinds of operation override

    def links(self) -> list[trace.Link]:
        """Links the span begins with."""
        return []

    def parent(self) -> Context | None:
        """The context the span begins in; None means the current one."""
        return None

    def begin_attributes(self) -> dict[str, Any]:
        """Attributes that depend on the moment of the call."""
        return {}

    def finish(self, handle: _H, error: BaseException | None) -> None:
        """Say what follows from how the operation ended."""

    # -- context manager

    def __enter__(self) -> _H:
        handle, context = self._start(self._site or _call_site())
        token = otel_context.attach(context) if context is not None else None
        self._open.append((handle, token))
        return handle

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        handle, token = self._open.pop()
        _detach(token)
        self._end(handle, error)

    async def __aenter__(self) -> _H:
        return self.__enter__()

    async def __aexit__(self, *how: object) -> None:
        self.__exit__(*how)

    # -- decorator

    def __call__(self, function: _F) -> _F:
        """Trace every call of *function*; its signature, and what `inspect` says of it, stay."""
        return cast("_F", _wrap(self, function))

    def named_after(self, function: Callable[..., Any]) -> Operation[_H]:
        """A copy of this operation for *function*, with its place in the source."""
        twin = copy.copy(self)
        twin._open = []
        code = getattr(inspect.unwrap(function), "__code__", None)
        if isinstance(code, CodeType):
            twin._site = (
                _scope.relative(code.co_filename),
                code.co_firstlineno,
                code.co_qualname if sys.version_info >= (3, 11) else code.co_name,
            )
        return twin

    def _start(self, site: tuple[str, int, str] | None) -> tuple[_H, Context | None]:
        handle = cast("_H", self.handle_type(self))
        if not settings.enabled:
            return handle, None
        context: Context | None = None
        with guarded("starting a span"):
            base = self.parent()
            base = otel_context.get_current() if base is None else base
            context = _scope.enter(base, self.scope)
            first = {**self.attributes, **_scope.inherited(context, self.attributes), **self.begin_attributes()}
            if site:
                first[at.CODE_FILE], first[at.CODE_LINE], first[at.CODE_FUNCTION] = site
            first[at.SEQ] = tick()
            handle._said.update(first)
            handle.span = settings.get_tracer().start_span(
                self.name,
                context=context,
                kind=self.kind,
                attributes={key: safe for key, value in first.items() if (safe := safe_value(value)) is not None},
                links=self.links() or None,
            )
            context = trace.set_span_in_context(handle.span, context)
            if self.announces and settings.exporting:
                settings.exporting.announce(handle.span)
        return handle, context

    def _end(self, handle: _H, error: BaseException | None) -> None:
        if not settings.enabled:
            return
        with guarded("ending a span"):
            span = handle.span
            if error is not None and not isinstance(error, GeneratorExit):
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
                span.set_attribute(at.ERROR_TYPE, type(error).__qualname__)
            self.finish(handle, error)
            span.set_attribute(at.SEQ_END, tick())
            span.end()


def _detach(token: Any) -> None:
    """Restore the context; one that was left in another task or thread is nobody's to restore."""
    if token is not None:
        try:
            token.var.reset(token)
        except (ValueError, AttributeError, RuntimeError):
            return


def _call_site() -> tuple[str, int, str] | None:
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith((_PACKAGE, "contextlib")):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    code = frame.f_code
    return _scope.relative(code.co_filename), frame.f_lineno, code.co_name


# -- wrapping functions: the span covers the whole run of the body, and its context is current only inside of it


def _wrap(operation: Operation[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_wrap(operation, function.__func__))  # type: ignore[return-value]
    traced = operation.named_after(function)
    bind = inspect.signature(function).bind if traced.captures else None

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Context | None]:
        handle, context = traced._start(traced._site)
        if bind is not None and settings.enabled:
            capture_arguments(handle, bind, args, kwargs)
        return handle, context

    def done(handle: Any, result: Any) -> None:
        if traced.captures and settings.enabled:
            capture_result(handle, result)

    if inspect.isasyncgenfunction(function):
        return _wrap_async_generator(traced, function, begin)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            handle, context = begin(args, kwargs)
            token = otel_context.attach(context) if context is not None else None
            error: BaseException | None = None
            try:
                result = await function(*args, **kwargs)
                done(handle, result)
                return result
            except BaseException as raised:
                error = raised
                raise
            finally:
                _detach(token)
                traced._end(handle, error)

        return call_async
    if inspect.isgeneratorfunction(function):
        return _wrap_generator(traced, function, begin)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        handle, context = begin(args, kwargs)
        token = otel_context.attach(context) if context is not None else None
        error: BaseException | None = None
        try:
            result = function(*args, **kwargs)
            done(handle, result)
            return result
        except BaseException as raised:
            error = raised
            raise
        finally:
            _detach(token)
            traced._end(handle, error)

    return call


def _wrap_generator(
    traced: Operation[Any], function: Callable[..., Any], begin: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(function)
    def iterate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        handle, context = begin(args, kwargs)
        error: BaseException | None = None
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = generator.__next__
        try:
            while True:
                token = otel_context.attach(context) if context is not None else None
                try:
                    item = step()
                except StopIteration as stop:
                    return stop.value
                finally:
                    _detach(token)
                try:
                    sent = yield item
                    step = functools.partial(generator.send, sent)
                except GeneratorExit:
                    generator.close()
                    raise
                except BaseException as thrown:
                    step = functools.partial(generator.throw, thrown)
        except BaseException as raised:
            error = raised
            raise
        finally:
            traced._end(handle, error)

    return iterate


def _wrap_async_generator(
    traced: Operation[Any], function: Callable[..., AsyncIterator[Any]], begin: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(function)
    async def iterate(*args: Any, **kwargs: Any) -> Any:
        handle, context = begin(args, kwargs)
        error: BaseException | None = None
        generator: Any = function(*args, **kwargs)
        step: Callable[[], Any] = generator.__anext__
        try:
            while True:
                token = otel_context.attach(context) if context is not None else None
                try:
                    item = await step()
                except StopAsyncIteration:
                    return
                finally:
                    _detach(token)
                try:
                    sent = yield item
                    step = functools.partial(generator.asend, sent)
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as thrown:
                    step = functools.partial(generator.athrow, thrown)
        except BaseException as raised:
            error = raised
            raise
        finally:
            traced._end(handle, error)

    return iterate


@overload
def concept(make: Callable[..., Operation[Any]], first: _F) -> _F: ...
@overload
def concept(make: Callable[..., Operation[Any]], first: str | None) -> Any: ...
def concept(make: Callable[..., Operation[Any]], first: Any) -> Any:
    """Let a concept be written `@tool`, `@tool()`, `@tool("name")` and `with tool("name")`."""
    if callable(first) or isinstance(first, (staticmethod, classmethod)):
        function = getattr(first, "__func__", first)
        return make(function.__name__)(first)
    if first is None:
        return lambda function: make(getattr(function, "__func__", function).__name__)(function)
    return make(first)
