"""A tracer beside the SDK's own, which makes the same spans for a fraction of their cost.

It knows the SDK from inside, so it is used only where that is exactly as known (see `_direct_known`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import export, sampling
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from driftline import _process
from driftline._batch import BatchProcessor
from driftline._direct_span import DirectSpan, Given

# They do nothing at the start of a span, and keep what they are given at its end as it is.
_QUIET = (export.BatchSpanProcessor, export.SimpleSpanProcessor, BatchProcessor)
_GIVEN = Given()
NO_STATE = SpanContext(1, 1, is_remote=False).trace_state
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
        # The SDK's counts of its own spans; most programs do not ask for them.
        metrics: Any = getattr(tracer, "_tracer_metrics", None)
        self._metrics = metrics if type(metrics).__name__ == "TracerMetrics" else None
        simple = len(self._ends) == 1 and self._known and not self._endings and self._metrics is None
        self._end = self._ends[0] if simple else None
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
            said = (bits(128) or 1, bits(64) or 1, False, self._root, NO_STATE, True)
        else:
            span._parent = parent
            said = (parent[0], bits(64) or 1, False, self._flags[parent[3]], parent[4], True)
        span._context = tuple.__new__(SpanContext, said)
        if self._metrics is not None:
            above = None if parent is _ROOT else parent
            span._record_end_metrics = self._metrics.start_span(above, sampling.Decision.RECORD_AND_SAMPLE)
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
        if span._record_end_metrics is not None:
            span._record_end_metrics()
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

    @staticmethod
    def say(span: Any, safe: Mapping[str, Any]) -> None:
        """As `set_attributes` of a span begun by `start`; the values of *safe* are safe."""
        if not span.say(safe):
            span.set_attributes(safe)

    def end(self, span: Any, late: Mapping[str, Any]) -> None:
        """As `set_attributes` and `end` of a span begun by `start`; the values of *late* are safe."""
        if span._end_time is not None:  # somebody else has ended it before: the SDK has something to say about that
            span.set_attributes(late)
            span.end()
            return
        span._late = late
        span._end_time = time_ns()
        self.ended(span)


def _quiet(processor: sdk.SpanProcessor, name: str) -> bool:
    """Whether method *name* of *processor* does nothing (`on_end`: to the span), whoever asks."""
    found: Callable[..., Any] | None = getattr(getattr(processor, name, None), "__func__", None)
    kinds = _QUIET if name == "on_end" else (sdk.SpanProcessor, *_QUIET)
    return found is not None and found in [getattr(kind, name, None) for kind in kinds]
