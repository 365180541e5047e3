"""A tracer beside the SDK's own, which makes the same spans for a fraction of their cost.

It knows the SDK from inside, so it is used only where that is exactly as known: the provider, its sampler, its ids, its
limits, the way context is kept, and the code of the classes themselves. Anything else goes through the public API.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from types import FunctionType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import export, sampling
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState

from driftline import _process
from driftline._batch import BatchProcessor
from driftline._direct_span import DirectSpan, Given

_SPAN_FIELDS = {
    "_name", "_context", "_kind", "_instrumentation_info", "_instrumentation_scope", "_parent", "_start_time",
    "_end_time", "_attributes", "_events", "_links", "_resource", "_status", "_sampler", "_trace_config",
    "_record_exception", "_set_status_on_exception", "_span_processor", "_limits", "_lock",
}  # fmt: skip
_SINCE_1_36 = {"_record_end_metrics"}
_ATTRIBUTE_FIELDS = {"maxlen", "max_value_len", "dropped", "_dict", "_lock", "_immutable"}
_MEANWHILE = {"_extended_attributes"}
# Our spans carry at most 30 attributes: under a lower limit the SDK has to choose which ones to keep.
_ENOUGH = 64
# They do nothing at the start of a span, and keep what they are given at its end as it is.
_QUIET = (export.BatchSpanProcessor, export.SimpleSpanProcessor, BatchProcessor)
_GIVEN = Given()
_ROOT = trace.INVALID_SPAN_CONTEXT


class DirectTracer:
    """Makes spans into the processors of one tracer."""

    def __init__(
        self,
        tracer: sdk.Tracer,
        variable: Any,
        key: str,
        root: TraceFlags,
        flags: dict[int, TraceFlags],
        *,
        freezes: bool,
    ) -> None:
        self.tracer = tracer
        self.life = _process.instance
        self.variable = variable
        self._key = key
        self._root = root
        self._flags = flags
        self.parts = dict(vars(tracer))
        self.several: Any = tracer.span_processor
        self.processors: tuple[sdk.SpanProcessor, ...] = self.several._span_processors
        self.starts = [one.on_start for one in self.processors if not _quiet(one, "on_start")]
        asked = self.processors if hasattr(sdk.SpanProcessor, "_on_ending") else ()
        self._endings = [one._on_ending for one in asked if not _quiet(one, "_on_ending")]
        self._ends = [one.on_end for one in self.processors]
        self._known = all(_quiet(one, "on_end") for one in self.processors)
        self._end = self._ends[0] if len(self._ends) == 1 and self._known and not self._endings else None
        constant = {
            "_resource": tracer.resource,
            "_instrumentation_info": tracer.instrumentation_info,
            "_instrumentation_scope": tracer._instrumentation_scope,
            "_limits": tracer._span_limits,
            "_span_processor": self.several,
            "_sampler": tracer.sampler,
            "_tracer": self,
            "_freezes": freezes,
            "__module__": sdk.__name__,
        }
        self.span_type: type[DirectSpan] = type("_Span", (DirectSpan,), constant)

    def steady(self) -> bool:
        """Whether process, tracer and processors are what they were when this was made."""
        return (
            self.life is _process.instance
            and self.tracer.__dict__ == self.parts
            and self.several._span_processors is self.processors
        )

    def parent(self, context: Context) -> SpanContext | None:
        """Of a span begun in *context*; `_ROOT`: it begins a trace; None: not one we can be sure about."""
        found: Any = context.get(self._key)
        if found is None:
            return _ROOT
        if type(found) is self.span_type:
            return found._context
        parent = trace.get_current_span(context).get_span_context()
        if type(parent) is not SpanContext:
            return None
        if not parent.is_valid:
            return _ROOT
        return parent if parent.trace_flags in self._flags else None

    def make(self, name: str, kind: SpanKind, parent: SpanContext) -> DirectSpan:
        """A span that has not been told to anybody yet."""
        span: Any = object.__new__(self.span_type)
        span._name = name
        span._kind = kind
        bits = random.getrandbits
        if parent is _ROOT:
            said = (bits(128) or 1, bits(64) or 1, False, self._root, _NO_STATE, True)
        else:
            span._parent = parent
            said = (parent[0], bits(64) or 1, False, self._flags[parent[3]], parent[4], True)
        span._context = tuple.__new__(SpanContext, said)
        span._start_time = time_ns()
        return span  # type: ignore[no-any-return]

    def started(self, span: DirectSpan, context: Context) -> None:
        """Tell the processors that *span* has begun."""
        for on_start in self.starts:
            on_start(span, parent_context=context)

    def inside(self, span: DirectSpan, context: Context) -> Context:
        """*context* with *span* as the current one."""
        found = Context(context)
        dict.__setitem__(found, self._key, span)
        return found

    def ended(self, span: DirectSpan) -> None:
        """Tell the processors that *span* has ended, after its end time was set."""
        if span._built is not None:
            span.settle()
        if self._end is not None:
            self._end(span)
            return
        for on_ending in self._endings:
            on_ending(span)
        # What one processor does to the copy it is given, those behind it see.
        ended = span if self._known else span._readable_span()
        for on_end in self._ends:
            on_end(ended)

    # -- for operations of any kind

    def start(
        self, name: str, context: Context, kind: SpanKind, first: Mapping[str, Any], links: Sequence[trace.Link]
    ) -> DirectSpan | None:
        """As `Tracer.start_span`; None where that has to do it. The values of *first* are safe and never change."""
        parent = self.parent(context)
        if parent is None:
            return None
        span: Any = self.make(name, kind, parent)
        span._recipe, span._first = _GIVEN, first
        if links:
            span._links = span._new_links(links)
        self.started(span, context)
        return span  # type: ignore[no-any-return]

    def end(self, span: Any, late: Mapping[str, Any]) -> None:
        """As `set_attributes` and `end` of a span begun by `start`; the values of *late* are safe."""
        if span._end_time is not None:  # somebody else has ended it before: the SDK has something to say about that
            span.set_attributes(late)
            span.end()
            return
        span._late = late
        span._end_time = time_ns()
        self.ended(span)


def direct_tracer(tracer: object) -> DirectTracer | None:
    """A direct tracer in place of *tracer*; None if anything about it, or about the SDK, is not as known."""
    try:
        return _recognised(tracer)
    except Exception:  # noqa: BLE001 - an SDK that is not as known may fail in any way; the public API remains
        return None


def _recognised(tracer: object) -> DirectTracer | None:
    from opentelemetry.trace.propagation import _SPAN_KEY

    runtime: Any = otel_context._RUNTIME_CONTEXT
    if type(tracer) is not sdk.Tracer:
        return None
    known = (
        type(tracer.span_processor) is sdk.SynchronousMultiSpanProcessor
        and type(tracer.id_generator) is RandomIdGenerator
        and type(runtime) is ContextVarsRuntimeContext
        and _samples_all(tracer.sampler)
        and _limits_nothing(tracer._span_limits)
        and type(getattr(tracer, "_tracer_metrics", None)).__name__ in ("NoneType", "NoOpTracerMetrics")
        and _untouched()
    )
    if not known:
        return None
    probe = copy.copy(tracer)
    probe.span_processor = copy.copy(tracer.span_processor)
    probe.span_processor._span_processors = ()
    probe.id_generator = _Ones()
    span: Any = probe.start_span("probe", Context())
    if not (
        _SPAN_FIELDS <= vars(span).keys() <= _SPAN_FIELDS | _SINCE_1_36
        and _ATTRIBUTE_FIELDS <= vars(span._attributes).keys() <= _ATTRIBUTE_FIELDS | _MEANWHILE
    ):
        return None
    root = _flags_of(span, _NO_STATE)
    flags = {word: _child_flags(probe, word, _SPAN_KEY) for word in (1, 3)}
    if root is None or None in flags.values():
        return None
    sure = {word: found for word, found in flags.items() if found is not None}
    span.end()
    return DirectTracer(tracer, runtime._current_context, _SPAN_KEY, root, sure, freezes=span._attributes._immutable)


def _samples_all(sampler: object) -> bool:
    """Everything whose parent is sampled, and without touching the attributes."""
    on, off = sampling.ALWAYS_ON, sampling.ALWAYS_OFF
    if sampler is on:
        return True
    return type(sampler) is sampling.ParentBased and (
        sampler._root is on
        and sampler._local_parent_sampled is on
        and sampler._remote_parent_sampled is on
        and sampler._local_parent_not_sampled is off
        and sampler._remote_parent_not_sampled is off
    )


def _limits_nothing(limits: sdk.SpanLimits) -> bool:
    most = limits.max_span_attributes
    return limits.max_span_attribute_length is None and (most is None or most >= _ENOUGH)


_OWN: tuple[tuple[type, tuple[str, ...]], ...] = (
    (sdk.Tracer, ("start_span",)),
    (sdk.Span, ("__init__", "start", "end", "set_attribute", "set_attributes", "_readable_span", "add_event",
                "add_link", "record_exception", "get_span_context", "is_recording", "__exit__")),
    (sdk.ReadableSpan, ("__init__", "to_json", "get_span_context")),
    (sdk.SynchronousMultiSpanProcessor, ("on_start", "on_end")),
    (sampling.ParentBased, ("should_sample",)),
    (sampling.StaticSampler, ("should_sample",)),
    (RandomIdGenerator, ("generate_span_id", "generate_trace_id")),
    (BoundedAttributes, ("__init__", "__setitem__", "__iter__", "__getitem__")),
    (ContextVarsRuntimeContext, ("attach", "detach", "get_current")),
)  # fmt: skip


def _untouched() -> bool:
    """Whether the methods we stand in for are the SDK's own, and nobody has put another in their place."""
    for owner, names in _OWN:
        for name in names:
            function = vars(owner).get(name)
            if type(function) is not FunctionType or function.__globals__.get("__name__") != owner.__module__:
                return False
    return trace.get_current_span.__module__ == "opentelemetry.trace.propagation"


class _Ones(RandomIdGenerator):
    """Ids for a span that nobody sees, without drawing from the program's random numbers."""

    def generate_trace_id(self) -> int:
        """Any."""
        return 1

    def generate_span_id(self) -> int:
        """Any."""
        return 1


_NO_STATE: TraceState = SpanContext(1, 1, is_remote=False).trace_state


def _flags_of(span: trace.Span, state: TraceState) -> TraceFlags | None:
    """The flags of a sampled span of the probe; None if its context is not laid out as ours are."""
    context = span.get_span_context()
    flags = context.trace_flags
    expected = (1, 1, False, flags, state, True)
    same = type(context) is SpanContext and tuple(context) == expected and context[4] is state
    return flags if same and flags & TraceFlags.SAMPLED else None


def _child_flags(probe: sdk.Tracer, word: int, key: str) -> TraceFlags | None:
    """The flags of the children of parents, local and remote, that have the flags *word*."""
    state = TraceState([("probe", "1")])
    found = set()
    for remote in (False, True):
        parent = NonRecordingSpan(SpanContext(1, 2, remote, TraceFlags(word), state))
        found.add(_flags_of(probe.start_span("probe", Context({key: parent})), state))
    return found.pop() if len(found) == 1 else None


def _quiet(processor: sdk.SpanProcessor, name: str) -> bool:
    """Whether method *name* of *processor* does nothing (`on_end`: to the span), whoever asks."""
    found: Callable[..., Any] | None = getattr(getattr(processor, name, None), "__func__", None)
    kinds = _QUIET if name == "on_end" else (sdk.SpanProcessor, *_QUIET)
    return found is not None and found in [getattr(kind, name, None) for kind in kinds]
