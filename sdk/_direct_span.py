"""Spans of OpenTelemetry's own class that carry only what is peculiar to them, and make the rest when it is read.

Making a span in the SDK's way costs most of what tracing a call costs: locks, lists and attribute maps that nearly no
span uses, filled on the thread that works. Here attributes stand as they were given until somebody reads them: the
thread that exports, as a rule. To everybody else such a span is an SDK span like any other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, Protocol

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan, Span
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, Status, StatusCode

# Our spans carry at most 30 attributes: under a lower limit the SDK has to choose which ones to keep.
ENOUGH = 64
_building = threading.RLock()
_new = object.__new__


def _renew() -> None:
    global _building  # noqa: PLW0603 - another thread may have held it at the fork
    _building = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class Recipe(Protocol):
    """How the attributes of a span follow from what it keeps."""

    def first(self, span: DirectSpan) -> dict[str, Any]:
        """What the span began with, in a new dictionary; the values as the SDK would keep them."""

    def last(self, span: DirectSpan, found: MutableMapping[str, Any]) -> None:
        """Add to *found* what its end said, likewise."""


class _LockOnUse:
    """A lock that is made when it is first asked for: of most spans it never is."""

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else vars(owner).setdefault("_lock", threading.RLock())


class DirectAttributes(BoundedAttributes):
    """Attributes whose first values need no cleaning any more; what is set later is treated as the SDK does.

    Made without a constructor: `_dict`, `maxlen` and `_immutable` are set from outside.
    """

    max_value_len = None
    dropped = 0
    _immutable = False
    _extended_attributes = False
    _lock: Any = _LockOnUse()

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
    _record_end_metrics: Any = None
    _parent = None
    _end_time: int | None = None
    _status = Status(StatusCode.UNSET)
    _lock: Any = _LockOnUse()
    _recipe: Recipe
    _tracer: Any
    """The direct tracer that made it."""
    _freezes: bool
    """Whether the SDK forbids to change the attributes of what has ended; it did not always."""
    # Parts that are made on use; each is None until then.
    _built: Any = None
    _event_list: Any = None
    _link_list: Any = None
    # For `Quick`: what a call was given and gave back, as values that are still to be digested, or as attributes.
    _args: tuple[Any, ...] = ()
    _kwargs: dict[str, Any] = {}  # noqa: RUF012 - read only
    _given: dict[str, Any] | None = None
    _result: Any = None
    _came_back: dict[str, Any] | None = None
    _outcome: str | None = None
    _seq_end = 0
    # For `Given`: what was said at the start and at the end.
    _first: Mapping[str, Any] = MappingProxyType({})
    _late: Mapping[str, Any] = MappingProxyType({})

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
    def attributes(self) -> Any:
        """As of any span."""
        built = self._built
        return MappingProxyType(self._build() if built is None else built)

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
                recipe = self._recipe
                found = recipe.first(self)
                ended = self._end_time is not None
                if ended:
                    recipe.last(self, found)
                built: Any = _new(DirectAttributes)
                built._dict = found
                built.maxlen = self._limits.max_span_attributes
                built._immutable = ended and self._freezes
                self._built = built
                if not ended and self._end_time is not None:  # it ended meanwhile, in another thread
                    self.settle()
            return self._built

    def say(self, safe: Mapping[str, Any]) -> bool:
        """Set *safe* attributes (see `_payload.safe_value`) without building; false where `set_attributes` has to."""
        with _building:
            first = self._first
            if self._built is not None or self._end_time is not None or len(first) + len(safe) > ENOUGH:
                return False
            if not all(type(key) is str and key for key in safe):
                return False
            if not first.keys().isdisjoint(safe):  # what is set again stands last
                first = {key: value for key, value in first.items() if key not in safe}
            self._first = {**first, **safe}
            return True

    def settle(self) -> None:
        """Let built attributes say what the end says, and freeze them; they may have been already.

        The order counts: who ends a span sets its end time before asking whether they are built, and who builds them
        asks for the end time afterwards.
        """
        with _building:
            built = self._built
            if not built._immutable:
                self._recipe.last(self, built)
                built._immutable = self._freezes


class Given:
    """The recipe of a span that was given its first attributes as a dictionary: their values must be safe ones."""

    def first(self, span: DirectSpan) -> dict[str, Any]:
        """As given, with lists as the SDK keeps them."""
        return cleaned(span._first)

    def last(self, span: DirectSpan, found: MutableMapping[str, Any]) -> None:
        """Likewise."""
        for key, value in cleaned(span._late).items():
            found[key] = value


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
