"""Whether the SDK is exactly the one whose spans we can make ourselves.

That is asked of the provider, its sampler, its ids, its limits, the way context is kept, and the code of the classes
themselves; and tried out on a probe. Anything else goes through the public API.
"""

from __future__ import annotations

import copy
from types import FunctionType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, propagation

from driftline._direct import NO_STATE, DirectTracer
from driftline._direct_span import ENOUGH

_SPAN_FIELDS = {
    "_name", "_context", "_kind", "_instrumentation_info", "_instrumentation_scope", "_parent", "_start_time",
    "_end_time", "_attributes", "_events", "_links", "_resource", "_status", "_sampler", "_trace_config",
    "_record_exception", "_set_status_on_exception", "_span_processor", "_limits", "_lock",
}  # fmt: skip
_SINCE_1_36 = {"_record_end_metrics"}
_ATTRIBUTE_FIELDS = {"maxlen", "max_value_len", "dropped", "_dict", "_lock", "_immutable"}
_MEANWHILE = {"_extended_attributes"}


def direct_tracer(tracer: object) -> DirectTracer | None:
    """A direct tracer in place of *tracer*; None if anything about it, or about the SDK, is not as known."""
    try:
        return _recognised(tracer)
    except Exception:  # noqa: BLE001 - an SDK that is not as known may fail in any way; the public API remains
        return None


def _recognised(tracer: object) -> DirectTracer | None:
    runtime: Any = otel_context._RUNTIME_CONTEXT
    if type(tracer) is not sdk.Tracer:
        return None
    known = (
        type(tracer.span_processor) is sdk.SynchronousMultiSpanProcessor
        and type(tracer.id_generator) is RandomIdGenerator
        and type(runtime) is ContextVarsRuntimeContext
        and _samples_all(tracer.sampler)
        and _limits_nothing(tracer._span_limits)
        and type(getattr(tracer, "_tracer_metrics", None)).__name__
        in ("NoneType", "NoOpTracerMetrics", "TracerMetrics")
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
    root = _flags_of(span, NO_STATE)
    key = propagation._SPAN_KEY
    flags = {word: _child_flags(probe, word, key) for word in (1, 3)}
    if root is None or None in flags.values():
        return None
    sure = {word: found for word, found in flags.items() if found is not None}
    span.end()
    return DirectTracer(tracer, runtime._current_context, key, root, sure, freezes=span._attributes._immutable)


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
    return limits.max_span_attribute_length is None and (most is None or most >= ENOUGH)


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
