"""Spans of OpenTelemetry's own class that carry only what is peculiar to them, and make the rest when it is read.

Making a span in the SDK's way costs most of what tracing a call costs: locks, lists and attribute maps that nearly no
span uses, filled on the thread that works. Here attributes stand as they were given until somebody reads them: the
thread that exports, as a rule. To everybody else such a span is an SDK span like any other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from time import time_ns
from typing import Any, Protocol

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan, Span
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, Status, StatusCode

_building = threading.RLock()


def _renew() -> None:
    global _building  # noqa: PLW0603 - another thread may have held it at the fork
    _building = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class Recipe(Protocol):
    """How the attributes of a span follow from what it keeps."""

    def first(self, span: DirectSpan) -> dict[str, Any]:
        """What the span began with, in a new dictionary; the values as the SDK would keep them."""

    def last(self, span: DirectSpan, late: Any) -> Mapping[str, Any]:
        """What its end added; *late*: what it was ended with."""


class _LockOnUse:
    """A lock that is made when it is first asked for: of most spans it never is."""

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else vars(owner).setdefault("_lock", threading.RLock())


class DirectAttributes(BoundedAttributes):
    """Attributes whose first values need no cleaning any more; what is set later is treated as the SDK does."""

    max_value_len = None
    dropped = 0
    _immutable = False
    _extended_attributes = False
    _lock: Any = _LockOnUse()

    def __init__(self, clean: dict[str, Any], maxlen: int | None) -> None:
        self._dict = clean
        self.maxlen = maxlen

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict) if self._immutable else iter(list(self._dict))

    def items(self) -> Any:
        """What is frozen is read without asking for each member."""
        return self._dict.items() if self._immutable else super().items()


class DirectSpan(Span):
    """A span whose constant parts are its class's; a tracer makes a subclass of it with its own."""

    _trace_config = None
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics = None
    _parent = None
    _end_time: int | None = None
    _status = Status(StatusCode.UNSET)
    _lock: Any = _LockOnUse()
    _recipe: Recipe
    # Parts that are made on use; each is None until then.
    _built: Any = None
    _event_list: Any = None
    _link_list: Any = None
    _late: Any = None

    def __init__(self) -> None:
        """Everything has been set already."""

    # -- what the SDK's own methods read and write

    @property
    def _attributes(self) -> Any:
        built = self._built
        return self._build() if built is None else built

    @_attributes.setter
    def _attributes(self, value: Any) -> None:
        self._built = value

    @property
    def _events(self) -> Any:
        if self._event_list is None:
            with _building:
                if self._event_list is None:
                    self._event_list = BoundedList(self._limits.max_events)
        return self._event_list

    @_events.setter
    def _events(self, value: Any) -> None:
        self._event_list = value

    @property
    def _links(self) -> Any:
        if self._link_list is None:
            with _building:
                if self._link_list is None:
                    self._link_list = BoundedList(self._limits.max_links)
        return self._link_list

    @_links.setter
    def _links(self, value: Any) -> None:
        self._link_list = value

    # -- what exporters read: no list is made to say that it is empty

    @property
    def events(self) -> tuple[Event, ...]:
        """As of any span."""
        return () if self._event_list is None else tuple(self._event_list)

    @property
    def links(self) -> tuple[Link, ...]:
        """As of any span."""
        return () if self._link_list is None else tuple(self._link_list)

    @property
    def dropped_events(self) -> int:
        """As of any span."""
        return 0 if self._event_list is None else super().dropped_events

    @property
    def dropped_links(self) -> int:
        """As of any span."""
        return 0 if self._link_list is None else super().dropped_links

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copied and pickled as what the SDK gives to exporters."""
        return self._readable_span().__reduce_ex__(protocol)

    # -- building

    def _build(self) -> Any:
        with _building:
            if self._built is None:
                ended = self._end_time is not None
                found = self._recipe.first(self)
                if ended:
                    self._add_late(found)
                built = DirectAttributes(found, self._limits.max_span_attributes)
                built._immutable = ended
                self._built = built
                if not ended and self._end_time is not None:  # it ended meanwhile, in another thread
                    self._settle()
            return self._built

    def _add_late(self, found: Any) -> None:
        late, self._late = self._late, None
        if late is not None:
            for key, value in self._recipe.last(self, late).items():
                found.pop(key, None)  # the SDK puts what is set again last
                found[key] = value

    def _settle(self) -> None:
        """Add to built attributes what the end says, and freeze them. To be called under the lock; twice is once."""
        built = self._built
        if not built._immutable:
            late, self._late = self._late, None
            if late is not None:
                for key, value in self._recipe.last(self, late).items():
                    built[key] = value
            built._immutable = True

    def conclude(self, late: Any) -> bool:
        """End the span with *late* (see `Recipe`) but tell nobody; false if it has been ended before, by somebody else.

        The order counts: whoever builds the attributes meanwhile either sees the end or is seen here.
        """
        if self._end_time is not None:
            return False
        self._late = late
        self._end_time = time_ns()
        if self._built is not None:
            with _building:
                self._settle()
        return True


class Given:
    """The recipe of a span that was given its first attributes as a dictionary: their values must be safe ones."""

    def first(self, span: DirectSpan) -> dict[str, Any]:
        """As given, with lists as the SDK keeps them."""
        return cleaned(span._first)  # type: ignore[attr-defined]

    def last(self, span: DirectSpan, late: Any) -> Mapping[str, Any]:  # noqa: ARG002
        """Likewise."""
        return cleaned(late)


def cleaned(safe: Mapping[str, Any]) -> dict[str, Any]:
    """*safe* values (see `_payload.safe_value`) as the SDK keeps them: frozen."""
    return {key: tuple(value) if type(value) is list else value for key, value in safe.items()}


def with_resource(span: ReadableSpan, resource: Any) -> ReadableSpan | None:
    """*span* as if its provider had *resource*, sharing all else; None if it is of a class we do not know."""
    kind = type(span)
    if isinstance(span, DirectSpan):
        span._attributes  # noqa: B018 - built once for both
    elif kind is not ReadableSpan:
        return None
    twin = object.__new__(kind)
    vars(twin).update(vars(span))
    twin._resource = resource
    return twin
