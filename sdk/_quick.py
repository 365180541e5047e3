"""Calls of decorated tools and steps at the least cost: nearly all spans of a program are these.

What such a span says is settled by its function, by the scope it begins in, and by the call's arguments and result.
Where none of them can change any more, the span keeps them as they are, and its attributes and digests are made when it
is read (see `_direct_span`); what can change is digested at once. Everything out of the ordinary (another capture, an
attempt, a parent or an SDK we are not sure about) is left to `Operation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
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
from driftline.canonical import EXACTLY, NotCanonical, sha256
from driftline.errors import Refused

if TYPE_CHECKING:
    from driftline._direct import DirectTracer
    from driftline._direct_span import DirectSpan

_SCALARS = frozenset((int, float, bool, type(None)))
# Longer texts are digested at once: the queue must not keep alive what the program has done with.
_LONGEST = 1024
_SCOPES = 8
_BAGGAGE: str = getattr(baggage, "_BAGGAGE_KEY", "")

Begun = tuple["DirectTracer | None", "DirectSpan | None", "Token[Context] | None", str]
_NOT_TRACED: Begun = (None, None, None, "")


class Quick:
    """Traces the calls of one function."""

    def __init__(
        self,
        name: str,
        kind: SpanKind,
        identity: Mapping[str, Any],
        rest: Mapping[str, Any],
        read: Named,
        outcomes: tuple[str, str] | None,
    ) -> None:
        """*outcomes*: of a call that returned and of one that failed, if it is a declared write."""
        self._name = name
        self._kind = kind
        self._identity = identity
        self._rest = rest
        self._read = read
        self._applied: str | None = outcomes and outcomes[0]
        self._unknown: str | None = outcomes and outcomes[1]
        ordered = sorted(read.every, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        self._parts = [(f"{'{,'[place > 0]}{EXACTLY[str](name)}:", name) for place, name in enumerate(ordered)]
        self._heads: dict[tuple[int, int, str], tuple[Any, Any, dict[str, Any]]] = {}

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Begun | None:
        """Begin the span of a call, and make it current; None: that is not for us to do."""
        direct = settings.direct
        if direct is None or settings.tracer is not direct.tracer or not direct.steady():
            direct = settings.get_direct()
            if direct is None:
                return None
        if settings.capture != "digests":
            return None
        context: Context = direct.variable.get()
        parent = direct.parent(context)
        if parent is None or context.get(_attempts.KEY) is not None:
            return None
        try:
            given = self._given(args, kwargs)
            seq = _process.tick()
            span: Any = direct.make(self._name, self._kind, parent)
            span._recipe = self
            span._given = given
            span._seq = seq
            span._baggage = context.get(_BAGGAGE)
            span._scope = context.get(_scope.KEY)
            span._variant = settings.variant
            direct.started(span, context)
            token = direct.variable.set(direct.inside(span, context))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not the program's business
            swallow("starting a span", error)
            return _NOT_TRACED
        return direct, span, token, _process.instance_id()

    def end(self, begun: Begun, error: BaseException | None, result: Any = None) -> None:
        """End the span of a call that returned *result* or raised *error*, and give back the context."""
        direct, span, token, life = begun
        _scope.detach(token)
        if direct is None or span is None or life != _process.instance_id():
            return
        try:
            if error is None:
                said, outcome = self._came_back(result), self._applied
            else:
                said = {}
                outcome = self._unknown and ("refused" if isinstance(error, Refused) else self._unknown)
                if not isinstance(error, GeneratorExit):
                    record(span, error)
        except Exception as failure:  # noqa: BLE001
            swallow("describing the end of a span", failure)
            said, outcome = {}, None
        late = said, outcome, _process.tick()
        with guarded("ending a span"):
            if span.conclude(late):
                direct.ended(span)
            else:  # by somebody else, before: the SDK has something to say about that
                span.set_attributes(self.last(span, late))
                span.end()

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call was given, to be digested later; the attributes that say it if it may change until then."""
        read = self._read
        if read.own:
            args = args[1:]
        for value in args:
            kind = type(value)
            if (kind is str and len(value) > _LONGEST) or (kind is not str and kind not in _SCALARS):
                break
        else:
            if not kwargs:
                return args, kwargs
            for value in kwargs.values():
                kind = type(value)
                if (kind is str and len(value) > _LONGEST) or (kind is not str and kind not in _SCALARS):
                    break
            else:
                return args, kwargs
        with guarded("reading arguments"):
            return captured_arguments(read.of(args, kwargs))
        return {}

    def _came_back(self, result: Any) -> Any:
        """Likewise of its result, as a list of one where it is to be digested later."""
        kind = type(result)
        settled = kind in _SCALARS or (kind is str and len(result) <= _LONGEST)
        return [result] if settled and settings.capture == "digests" else captured_result(result)

    # -- read later, as a rule by the thread that exports

    def first(self, span: Any) -> dict[str, Any]:
        """The attributes the span began with."""
        found = self._head(span._baggage, span._scope, span._variant).copy()
        found[at.SEQ] = span._seq
        given = span._given
        if type(given) is tuple:
            said = self._digest(*given)
            if said is not None:
                found[at.ARGS_DIGEST] = said
        else:
            found.update(given)
        return found

    def last(self, span: Any, late: tuple[Any, str | None, int]) -> dict[str, Any]:  # noqa: ARG002
        """The attributes its end added."""
        result, outcome, seq = late
        found: dict[str, Any] = {}
        if type(result) is list:
            said = safe_digest(result[0])
            if said is not None:
                found[at.RESULT_DIGEST] = said
        else:
            found.update(result)
        if outcome is not None:
            found[at.EFFECT_OUTCOME] = outcome
        found[at.SEQ_END] = seq
        return found

    def _head(self, around: Any, scope: Any, variant: str) -> dict[str, Any]:
        """What all calls in one scope say alike, in the order of `Operation.start`."""
        place = id(around), id(scope), variant
        known = self._heads.get(place)
        if known is not None and known[0] is around and known[1] is scope:
            return known[2]
        run = around.get(at.RUN_ID) if isinstance(around, dict) else None
        said = {**self._identity, **_scope.members(run, variant, scope), at.SEQ: 0, **self._rest}
        found: dict[str, Any] = dict(BoundedAttributes(None, said))
        if len(self._heads) >= _SCOPES:
            self._heads.clear()
        # Both are kept along, so that their ids are not given to others.
        self._heads[place] = around, scope, found
        return found

    def _digest(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        given = self._read.of(args, kwargs)
        try:
            if len(given) != len(self._parts):
                return safe_digest(given)
            members = [part + EXACTLY[type(given[name])](given[name]) for part, name in self._parts]
        except (KeyError, NotCanonical):  # a call that does not fit; a number that JSON has no form for
            return safe_digest(given)
        return sha256("".join(members) + "}" if members else "{}")
