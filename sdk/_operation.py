"""One traced operation: a context manager and a decorator, over one span."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast, overload

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from driftline import _scope
from driftline import attributes as at
from driftline._guard import described, guarded, swallow
from driftline._handles import Handle
from driftline._payload import safe_text, safe_value, text_of
from driftline._process import instance_id, tick
from driftline._settings import settings

if TYPE_CHECKING:
    from driftline._quick import Quick

_F = TypeVar("_F", bound=Callable[..., Any])
_H = TypeVar("_H", bound=Handle)
_OURS = (__name__.rpartition(".")[0] + ".", "contextlib.")
# What a span is comes first: an SDK that keeps too few attributes should not keep them instead.
_IDENTITY = frozenset(
    (at.OPERATION, at.RUN_ID, at.WORKFLOW, at.AGENT, at.AGENT_INSTANCE, at.STEP_NAME, at.TOOL, at.TOOL_CALL_ID,
     at.CALL_ID, at.MODEL, at.PROVIDER, at.MEMORY_STORE, at.MEMORY_KEYS, at.DATA_SOURCE, at.VALIDATION_NAME,
     at.MESSAGING_OPERATION, at.MESSAGING_DESTINATION, at.MESSAGE_ID)
)  # fmt: skip

Site = tuple[str, int, str]
NOTHING: Any = object()
"""Stands for "no result is known": None is a result."""


class Call(NamedTuple):
    """One call of a decorated function."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Operation(Generic[_H]):
    """What to trace: the span's name, kind and first attributes. Use with `with`, or as a decorator.

    An instance may be entered many times, also at once; each entry is a span of its own.
    """

    handle_type: type[Handle] = Handle
    kind = SpanKind.INTERNAL
    announces = False

    def __init__(self, name: str, attributes: Mapping[str, Any]) -> None:
        self.name = safe_text(name)
        said = {key: value for key, value in attributes.items() if value is not None}
        safe = {key: found for key, value in said.items() if (found := safe_value(value)) is not None}
        self.attributes = safe
        self._identity = {key: value for key, value in safe.items() if key in _IDENTITY}
        self._rest = {key: value for key, value in safe.items() if key not in _IDENTITY}
        self._open: list[tuple[_H, Any]] = []

    # -- what kinds of operation override

    def links(self) -> list[trace.Link]:
        """Links the span begins with."""
        return []

    def context(self, base: Context) -> Context:
        """The context the span begins in, by default the current one, *base*."""
        return base

    def inside(self, context: Context) -> Context:
        """The context for what happens inside, but for the span itself."""
        return context

    def scope(self, base: Context) -> Mapping[str, str]:  # noqa: ARG002
        """What this span and those inside inherit; its members need not be among the attributes."""
        return {}

    def decorates(self, function: Callable[..., Any]) -> None:
        """Prepare for calls of *function*; called on the copy made for it."""

    def quick(self) -> Quick | None:
        """A cheaper way to trace calls of the decorated function, where there is one."""
        return None

    def begin(self, base: Context, call: Call | None) -> Mapping[str, Any]:  # noqa: ARG002
        """Attributes that depend on the moment, and on the arguments of a decorated function's *call*."""
        return {}

    def finish(self, handle: _H, error: BaseException | None, result: Any) -> dict[str, Any]:  # noqa: ARG002
        """Attributes that follow from how the operation ended; *result* may be `NOTHING`."""
        return {}

    # -- context manager

    def __enter__(self) -> _H:
        handle, context = self.start(_call_site() if settings.enabled else None)
        token = otel_context.attach(context) if context is not None else None
        self._open.append((handle, token))
        return handle

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        handle, token = self._pop()
        _scope.detach(token)
        self.end(handle, error)

    async def __aenter__(self) -> _H:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    # -- decorator

    def __call__(self, function: _F) -> _F:
        """Trace every call of *function*; its signature, and what `inspect` says of it, stay."""
        from driftline._wrapping import wrap

        return cast("_F", wrap(self, function))

    def named_after(self, function: Callable[..., Any]) -> Operation[_H]:
        """A copy of this operation for *function*, with its place in the source."""
        twin = copy.copy(self)
        twin._open = []
        code = getattr(inspect.unwrap(original(function)), "__code__", None)
        if isinstance(code, CodeType):
            twin._rest = {**self._rest, **_place(code, code.co_firstlineno)}
        twin.decorates(function)
        return twin

    # -- the span

    def start(self, site: Mapping[str, Any] | None = None, call: Call | None = None) -> tuple[_H, Context | None]:
        """Begin a span; the context to run the inside in, None if there is no span."""
        handle = cast("_H", self.handle_type(self))
        if not settings.enabled:
            return handle, None
        try:
            base = self.context(otel_context.get_current())
            context = _scope.enter(base, self.scope(base))
            moment = self.begin(base, call)
            handle._first = first = {
                **self._identity,
                **_scope.inherited(context),
                at.SEQ: 0,
                **self._rest,
                **(site or {}),
                **moment,
            }
            first[at.SEQ] = tick()
            handle.span = span = self._new_span(handle, context, first)
            handle._life = instance_id()
            context = trace.set_span_in_context(span, self.inside(context))
            handle._context = context
            if self.announces and settings.exporting:
                settings.exporting.announce(span)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not the program's business
            swallow("starting a span", error)
            return handle, None
        return handle, context

    def end(self, handle: _H, error: BaseException | None = None, result: Any = NOTHING) -> None:
        """End the span that *handle* stands for.

        A span begun before a fork is the parent process's to end.
        """
        if handle._life != instance_id() or handle._ended:
            return
        late: dict[str, Any] = {}
        span = handle.span
        try:
            if error is not None and not isinstance(error, GeneratorExit):
                record(span, error)
            late = self.finish(handle, error, result)
        except Exception as failure:  # noqa: BLE001
            swallow("describing the end of a span", failure)
        finally:
            handle._ended = True
            late[at.SEQ_END] = tick()
            direct = handle._direct
            if direct is not None:
                with guarded("ending a span"):
                    direct.end(span, late)
            else:
                with guarded("ending a span"):
                    span.set_attributes(late)
                with guarded("ending a span"):
                    span.end()

    def _new_span(self, handle: _H, context: Context, first: Mapping[str, Any]) -> trace.Span:
        links = self.links()
        direct = settings.get_direct()
        if direct is not None:
            made = direct.start(self.name, context, self.kind, first, links)
            if made is not None:
                handle._direct = direct
                return made
        span = settings.get_tracer().start_span(self.name, context, self.kind, first, links or None)
        if settings.unusual_sampler:
            span.set_attributes(first)
        return span

    def _pop(self) -> tuple[_H, Any]:
        """The entry this exit belongs to: of several at once, in threads or tasks, the one whose span is current."""
        if len(self._open) > 1:
            current = trace.get_current_span()
            for place in reversed(range(len(self._open))):
                if self._open[place][0].span is current:
                    return self._open.pop(place)
        return self._open.pop()


def record(span: trace.Span, error: BaseException) -> None:
    """Say on *span* that it failed with *error*."""
    kind, text = type(error).__qualname__, safe_text(described(error))
    span.set_status(Status(StatusCode.ERROR, f"{kind}: {text}"))
    span.set_attribute(at.ERROR_TYPE, kind)
    with guarded("recording an exception"):
        span.record_exception(error, {"exception.message": text})


def _place(code: CodeType, line: int) -> dict[str, Any]:
    function = code.co_qualname if sys.version_info >= (3, 11) else code.co_name
    return {at.CODE_FILE: _scope.relative(code.co_filename), at.CODE_LINE: line, at.CODE_FUNCTION: function}


def _call_site() -> dict[str, Any] | None:
    """Where the first frame that is not ours is."""
    frame = sys._getframe(2)
    while f"{frame.f_globals.get('__name__', '')}.".startswith(_OURS):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return _place(frame.f_code, frame.f_lineno)


def original(function: Any) -> Any:
    """What *function* was before `classmethod`, `staticmethod` or `functools.partial` was put around it."""
    while True:
        inner = function.func if isinstance(function, functools.partial) else getattr(function, "__func__", function)
        if inner is function:
            return function
        function = inner


def name_of(function: Any) -> str:
    """What a decorated callable is called."""
    inner = original(function)
    return str(getattr(inner, "__name__", None) or type(inner).__name__)


@overload
def concept(make: Callable[..., Operation[Any]], first: _F) -> _F: ...
@overload
def concept(make: Callable[..., Operation[Any]], first: str | None) -> Any: ...
def concept(make: Callable[..., Operation[Any]], first: Any) -> Any:
    """Let a concept be written `@tool`, `@tool()`, `@tool("name")` and `with tool("name")`."""
    if first is None:
        return lambda function: make(name_of(function))(function)
    if callable(first) or isinstance(first, (staticmethod, classmethod)):
        return make(name_of(first))(first)
    return make(first if type(first) is str else text_of(first))
