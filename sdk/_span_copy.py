"""Copies of spans with some parts changed: an ended span itself cannot be."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from driftline import _direct_span as direct_span
from driftline import attributes as at


class SpanCopy(ReadableSpan):
    """A copy that keeps what its original says about things dropped: without those counts a record looks whole."""

    def __init__(self, span: ReadableSpan, **changes: Any) -> None:
        parts: dict[str, Any] = {
            "name": span.name,
            "context": span.get_span_context(),
            "parent": span.parent,
            "resource": span.resource,
            "attributes": span.attributes,
            "events": span.events,
            "links": span.links,
            "kind": span.kind,
            "status": span.status,
            "start_time": span.start_time,
            "end_time": span.end_time,
            "instrumentation_scope": span.instrumentation_scope,
        }
        parts.update(changes)
        super().__init__(**parts)
        self._dropped = span.dropped_attributes, span.dropped_events, span.dropped_links

    @property
    def dropped_attributes(self) -> int:
        """As of the original."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """As of the original."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """As of the original."""
        return self._dropped[2]


class PendingCopy(SpanCopy):
    """What can be said of a span that has just begun: it ends where it starts, and says that it is pending."""

    def __init__(self, span: ReadableSpan) -> None:
        attributes = {**(span.attributes or {}), at.PENDING: True}
        super().__init__(span, attributes=attributes, end_time=span.start_time)


def with_resource(span: ReadableSpan, resource: Resource) -> ReadableSpan:
    """*span* as if its provider had *resource*."""
    return direct_span.with_resource(span, resource) or SpanCopy(span, resource=resource)
