"""Calls of decorated tools and steps at the least cost: nearly all spans of a program are these.

What such a span says is settled by its function, by the scope it begins in, and by the call's arguments and result.
Where none of them can change any more, the span keeps them as they are, and its attributes and digests are made when it
is read (see `_direct_span`); what can change is digested at once. Everything out of the ordinary (another capture, an
attempt, a parent or an SDK we are not sure about) is left to `Operation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from contextvars import Token
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import baggage
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from driftline import _attempts, _process, _scope
from driftline import attributes as at
from driftline._arguments import Named
from driftline._guard import guarded, swallow
from driftline._operation import record
from driftline._payload import captured_arguments, captured_result, safe_digest
from driftline._settings import settings
from driftline.canonical import EXACTLY, NotCanonical, scalar_digest, sha256
from driftline.errors import Refused

if TYPE_CHECKING:
    from driftline._direct_span import DirectSpan

_SCALARS = frozenset((int, float, bool, type(None)))
# Longer texts are digested at once: the queue must not keep alive what the program has done with.
_LONGEST = 1024
_SCOPES = 8
_BAGGAGE: str = getattr(baggage, "_BAGGAGE_KEY", "")

Begun = tuple["DirectSpan | None", "Token[Context] | None"]
_NOT_TRACED: Begun = (None, None)
_Head = tuple[Any, Any, str, dict[str, Any]]


class Quick:
    """Traces the calls of one function; it is also the recipe of their spans."""

    def __init__(
        self,
        name: str,
        kind: SpanKind,
        identity: Mapping[str, Any],
        rest: Mapping[str, Any],
        read: Named,
        outcome: str | None,
    ) -> None:
        """*outcome*: of a call that returns, if it is a declared write."""
        self._name = name
        self._kind = kind
        self._identity = identity
        self._rest = rest
        self._read = read
        self._outcome = outcome
        # The members of the arguments' canonical form, in its order, and where a positional call has their values.
        ordered = sorted(enumerate(read.every), key=lambda item: item[1].encode("utf-16-be", "surrogatepass"))
        self._members = [(f"{'{,'[n > 0]}{EXACTLY[str](name)}:", index) for n, (index, name) in enumerate(ordered)]
        self._positional = len(read.every) if read.every == read.names else -1
        self._heads: dict[tuple[int, int, str], _Head] = {}
        self._head: _Head = (self, None, "", {})

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Begun | None:
        """Begin the span of a call, and make it current; None: that is not for us to do."""
        direct = settings.direct
        if direct is None or settings.tracer is not direct.tracer or not direct.steady():
            direct = settings.get_direct()
            if direct is None:
                return None
        context: Context = direct.variable.get()
        parent = direct.parent(context)
        if parent is None or settings.capture != "digests" or context.get(_attempts.KEY) is not None:
            return None
        try:
            if self._read.own:
                args = args[1:]
            given = None if settled(args) and (not kwargs or settled(kwargs.values())) else self._given(args, kwargs)
            seq = next(_process.ticks)
            span: Any = direct.make(self._name, self._kind, parent)
            span._recipe = self
            if given is None:
                span._args = args
                if kwargs:
                    span._kwargs = kwargs
            else:
                span._given = given
            span._seq = seq
            span._around = context.get(_BAGGAGE)
            span._scope = context.get(_scope.KEY)
            span._variant = settings.variant
            if direct.starts:
                direct.started(span, context)
            return span, direct.variable.set(direct.inside(span, context))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not the program's business
            swallow("starting a span", error)
            return _NOT_TRACED

    def end(self, begun: Begun, result: Any) -> None:
        """End the span of a call that returned *result*, and give back the context."""
        span: Any
        span, token = begun
        _scope.detach(token)
        if span is None or span._tracer.life is not _process.instance:
            return
        try:
            kind = type(result)
            if (kind in _SCALARS or (kind is str and len(result) <= _LONGEST)) and settings.capture == "digests":
                span._result = result
            else:
                span._came_back = captured_result(result)
            span._outcome = self._outcome
        except Exception as error:  # noqa: BLE001
            swallow("describing the end of a span", error)
        self._end(span)

    def fail(self, begun: Begun, error: BaseException) -> None:
        """End the span of a call that raised *error*, and give back the context."""
        span: Any
        span, token = begun
        _scope.detach(token)
        if span is None or span._tracer.life is not _process.instance:
            return
        with guarded("describing the end of a span"):
            span._came_back = {}
            if not isinstance(error, GeneratorExit):
                record(span, error)
            if self._outcome is not None:
                span._outcome = "refused" if isinstance(error, Refused) else "unknown"
        self._end(span)

    def _end(self, span: Any) -> None:
        span._seq_end = next(_process.ticks)
        try:
            if span._end_time is None:
                span._end_time = time_ns()
                span._tracer.ended(span)
            else:  # ended by somebody else before: the SDK has something to say about that
                late: dict[str, Any] = {}
                self.last(span, late)
                span.set_attributes(late)
                span.end()
        except Exception as error:  # noqa: BLE001
            swallow("ending a span", error)

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """What a call was given, for arguments that may change until the span is read."""
        with guarded("reading arguments"):
            return captured_arguments(self._read.of(args, kwargs))
        return {}

    # -- read later, as a rule by the thread that exports

    def first(self, span: Any) -> dict[str, Any]:
        """The attributes the span began with."""
        around, scope, variant, head = self._head
        if around is not span._around or scope is not span._scope or variant != span._variant:
            head = self._new_head(span._around, span._scope, span._variant)
        found = head.copy()
        found[at.SEQ] = span._seq
        if span._given is not None:
            found.update(span._given)
        elif (said := self._digest(span._args, span._kwargs)) is not None:
            found[at.ARGS_DIGEST] = said
        return found

    def last(self, span: Any, found: MutableMapping[str, Any]) -> None:
        """Add to *found* the attributes its end said; nothing, if somebody else ended it."""
        if not span._seq_end:
            return
        if span._came_back is not None:
            found.update(span._came_back)
        else:
            try:
                said: str | None = scalar_digest(span._result)
            except NotCanonical:
                said = None
            if said is not None:
                found[at.RESULT_DIGEST] = said
        if span._outcome is not None:
            found[at.EFFECT_OUTCOME] = span._outcome
        found[at.SEQ_END] = span._seq_end

    def _new_head(self, around: Any, scope: Any, variant: str) -> dict[str, Any]:
        """What all calls in one scope say alike, in the order of `Operation.start`."""
        place = id(around), id(scope), variant
        known = self._heads.get(place)
        if known is None or known[0] is not around or known[1] is not scope:
            run = around.get(at.RUN_ID) if isinstance(around, dict) else None
            said = {**self._identity, **_scope.members(run, variant, scope), at.SEQ: 0, **self._rest}
            if len(self._heads) >= _SCOPES:
                self._heads.clear()
            # Both are kept along, so that their ids are not given to others.
            known = self._heads[place] = around, scope, variant, dict(BoundedAttributes(None, said))
        self._head = known
        return known[3]

    def _digest(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Of settled arguments: `safe_digest` of what `Named` reads, without building it."""
        members = self._members
        try:
            if kwargs or len(args) != self._positional:
                args = self._in_order(args, kwargs)
            text = ""
            for head, index in members:
                value = args[index]
                text += head + EXACTLY[type(value)](value)
        except (LookupError, NotCanonical):  # a call that does not fit; a number that JSON has no form for
            return safe_digest(self._read.of(args, kwargs))
        return sha256(text + "}" if text else "{}")

    def _in_order(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Arguments in the order of the parameters.

        Raises:
            LookupError: they do not fit.
        """
        given = self._read.of(args, kwargs)
        if len(given) != len(self._members):
            raise LookupError
        return tuple(given[name] for name in self._read.every)


def settled(values: Iterable[Any]) -> bool:
    """Whether none of *values* can change any more, or is so long that it should not be kept."""
    for value in values:
        kind = type(value)
        if kind is str:
            if len(value) > _LONGEST:
                return False
        elif kind not in _SCALARS:
            return False
    return True
