"""Hand-offs between agents and processes: the run travels with the message, a link ties both ends."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from driftline import attributes as at
from driftline._attempts import outside_attempt
from driftline._guard import guarded
from driftline._handles import Handle
from driftline._operation import Operation

# Ours, not the program's global one: a run must keep together where that carries no baggage.
_PROPAGATOR = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


class SendHandle(Handle):
    """A message on its way out."""

    def inject(self, carrier: MutableMapping[str, str] | None = None) -> MutableMapping[str, str]:
        """Put what the receiver needs into *carrier* (the message's headers) and return it."""
        return inject(carrier, self._context)

    @property
    def carrier(self) -> dict[str, str]:
        """A new carrier to put on the message."""
        return dict(self.inject({}))


class _Send(Operation[SendHandle]):
    handle_type = SendHandle
    kind = SpanKind.PRODUCER


class _Receive(Operation[Handle]):
    kind = SpanKind.CONSUMER
    # A worker killed at work takes its spans with it; that it had taken the message must be known all the same.
    announces = True

    def __init__(self, name: str, attributes: Mapping[str, Any], carrier: Mapping[str, Any] | None) -> None:
        super().__init__(name, attributes)
        self._sender = extract(carrier)

    def context(self, base: Context) -> Context:
        """The receiver's own context with the sender's baggage: the run is the sender's, the trace is not."""
        context = outside_attempt(base)
        for key, value in baggage.get_all(self._sender).items():
            context = baggage.set_baggage(key, value, context)
        return context

    def links(self) -> list[trace.Link]:
        """The sender."""
        sender = trace.get_current_span(self._sender).get_span_context()
        return [trace.Link(sender)] if sender.is_valid else []


def send(destination: str, *, message_id: str | None = None) -> Operation[SendHandle]:
    """Hand work to *destination*; put `handle.carrier` on the message."""
    return _Send(f"send {destination}", _attributes("send", destination, message_id))


def receive(destination: str, carrier: Mapping[str, Any] | None, *, message_id: str | None = None) -> Operation[Handle]:
    """Take work from *destination*: the span covers its processing, and is linked to the sender."""
    return _Receive(f"process {destination}", _attributes("process", destination, message_id), carrier)


def inject(carrier: MutableMapping[str, str] | None = None, context: Context | None = None) -> MutableMapping[str, str]:
    """Write the current trace and run, or those of *context*, into *carrier*: headers, environment, metadata."""
    target: MutableMapping[str, str] = {} if carrier is None else carrier
    with guarded("injecting context"):
        propagate.inject(target, context)
        _PROPAGATOR.inject(target, context)
    return target


def extract(carrier: Mapping[str, Any] | None) -> Context:
    """The context another process injected; attach it, or give it to a span of your own as its parent.

    Names may be in any case and values bytes, as message headers often are; what is no carrier gives an empty context.
    """
    with guarded("extracting context"):
        found = {_as_text(name).lower(): _as_text(value) for name, value in (carrier or {}).items()}
        return _PROPAGATOR.extract(found, context=Context())
    return Context()


def _as_text(value: Any) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, (bytes, bytearray)) else str(value)


def _attributes(word: str, destination: str, message_id: str | None) -> dict[str, Any]:
    return {at.MESSAGING_OPERATION: word, at.MESSAGING_DESTINATION: destination, at.MESSAGE_ID: message_id}
