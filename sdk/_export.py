"""From ended spans to OTLP: our exporter beside whatever the program already has."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from driftline import attributes as at
from driftline._batch import BatchProcessor
from driftline._guard import described, guarded, warn_once
from driftline._process import process_resource
from driftline._span_copy import PendingCopy, with_resource
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline._redacting import Redacting
    from driftline._session import Session

_TIMEOUT = 5.0
_TODO = "Start `driftline up`, name another collector with DRIFTLINE_ENDPOINT, or set DRIFTLINE_DISABLED=1."
_TALKATIVE = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.common._internal",
)


class WholeSender:
    """Sends spans with whole resources.

    A provider's resource cannot be changed, and it lacks `service.instance.id`, the scope of the logical clock. What
    the provider does say is kept, except that id where it has one: it may outlive the process, ours never does. After
    a fork the child's spans get the child's identity.
    """

    def __init__(
        self, inner: SpanExporter, said: Mapping[str, str], session: Session | None = None, where: str = ""
    ) -> None:
        self._inner = inner
        self._said = said
        self._session = session
        self._where = where
        self._reason = ""
        self._given_up = 0
        self._merged: dict[int, tuple[Resource, Resource]] = {}

    def send(self, spans: Sequence[ReadableSpan], given_up: int) -> list[ReadableSpan]:
        """Send *spans*, and return those that did not arrive; a failure is logged once and never raised."""
        with _quiet():
            if given_up != self._given_up:
                self._given_up = given_up
                self._merged.clear()
            whole = [self._complete(span) for span in spans]
            sent = [self._export(whole)] * len(whole)
            if not all(sent) and self._session is not None and not self._session.asked:
                # Nothing was even asked for: a span that cannot be encoded must not cost the others.
                sent = [self._export([span]) for span in whole]
        if not all(sent):
            said = "".join(f" {part}" for part in (self._where and f"to {self._where}", self._reason) if part)
            warn_once("export", "driftline cannot deliver spans%s. Your code runs on. %s", said, _TODO)
        return [span for span, arrived in zip(spans, sent, strict=True) if not arrived]

    def _export(self, spans: Sequence[ReadableSpan]) -> bool:
        if self._session is not None:
            self._session.asked = self._session.worth_retrying = False
        try:
            if self._inner.export(spans) is SpanExportResult.SUCCESS:
                return True
            self._reason = ""
        except Exception as error:  # noqa: BLE001 - of whatever exporter it is
            self._reason = f"({type(error).__name__}: {described(error)})"
        if self._session is not None and self._session.asked:
            self._reason = f"({self._session.reason})"
        return False

    @property
    def worth_retrying(self) -> bool:
        """Whether nobody was there, rather than somebody who refused."""
        return self._session is not None and self._session.worth_retrying

    def shutdown(self) -> None:
        """Close the transport."""
        with _quiet(), guarded("closing the exporter"):
            self._inner.shutdown()

    def _complete(self, span: ReadableSpan) -> ReadableSpan:
        said = span.resource
        whole = self._whole(said)
        return span if whole is said else with_resource(span, whole)

    def _whole(self, resource: Resource) -> Resource:
        # Keyed by identity; the resource is kept along, so that its id is not given to another.
        known = self._merged.get(id(resource))
        if known is None:
            own = process_resource()
            said = {**own, **resource.attributes}
            for key, value in self._said.items():
                if str(said.get(key, "unknown_service")).startswith("unknown_service"):
                    said[key] = value
            said.update({key: own[key] for key in ("service.instance.id", "process.pid")})
            if self._given_up:
                said[at.GIVEN_UP] = self._given_up
            whole = resource if said == resource.attributes else Resource(said, resource.schema_url)
            known = self._merged[id(resource)] = resource, whole
        return known[1]


class Exporting:
    """The processor driftline added to a provider, and how to flush and end it."""

    def __init__(
        self,
        provider: TracerProvider,
        exporter: SpanExporter | None,
        endpoint: str | None,
        said: Mapping[str, str],
        redacting: Redacting | None = None,
    ) -> None:
        self.provider = provider
        self.processor = BatchProcessor(
            _sender_of(exporter, said, redacting) if exporter else _otlp(endpoint, said, redacting)
        )
        provider.add_span_processor(self.processor)
        atexit.register(self.close)
        multiprocessing = sys.modules.get("multiprocessing")
        if multiprocessing is not None and multiprocessing.parent_process() is not None:
            self._close_with_worker()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._close_with_forked_worker)

    def announce(self, span: trace.Span) -> None:
        """Export a pending copy of a span that has just begun, so that a crash leaves a trace of it."""
        if isinstance(span, Span):
            self.processor.on_end(PendingCopy(span))

    def flush(self, timeout: float) -> bool:
        """Send what has ended; false if that failed or took longer than *timeout* seconds."""
        return self.processor.force_flush(int(timeout * 1000))

    def close(self, timeout: float = 5.0) -> None:
        """Flush and end the processor. Safe to call twice."""
        atexit.unregister(self.close)
        with guarded("shutting down"):
            self.processor.close(timeout)

    def _close_with_worker(self) -> None:
        """A worker of `multiprocessing` ends without the interpreter's exit handlers; it has its own."""
        from multiprocessing.util import Finalize

        Finalize(None, self.close, exitpriority=0)

    def _close_with_forked_worker(self) -> None:
        util = sys.modules.get("multiprocessing.util")
        if util is not None and not self.processor.closed:
            # Not at once: a worker begins by forgetting the handlers it inherited.
            util.register_after_fork(self, Exporting._close_with_worker)


class _quiet(logging.Filter):  # noqa: N801 - used like a statement
    """Keeps the exporter's own complaints about our transport out of the program's log; others' stay."""

    _busy = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        """Nothing that is logged inside the block."""
        return not getattr(self._busy, "depth", 0)

    def __enter__(self) -> None:
        self._busy.depth = getattr(self._busy, "depth", 0) + 1

    def __exit__(self, *_how: object) -> None:
        self._busy.depth -= 1


def provider_in_use() -> TracerProvider | None:
    """The program's own SDK provider, if it has set one."""
    found = trace.get_tracer_provider()
    return found if isinstance(found, TracerProvider) else None


def _sender_of(
    exporter: SpanExporter, said: Mapping[str, str], redacting: Redacting | None
) -> Callable[[], WholeSender]:
    return lambda: WholeSender(_redacted(exporter, redacting), said)


def _redacted(exporter: SpanExporter, redacting: Redacting | None) -> SpanExporter:
    """*exporter*, to which only what *redacting* leaves comes: whole resources included."""
    if redacting is None:
        return exporter
    from driftline._redacting import RedactingExporter

    return RedactingExporter(exporter, redacting)


def _otlp(endpoint: str | None, said: Mapping[str, str], redacting: Redacting | None) -> Callable[[], WholeSender]:
    """OTLP/HTTP to *endpoint*, or as the standard environment variables say."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_quiet())
    if endpoint is None and os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").startswith("grpc"):
        return _sender_of(_grpc(), said, redacting)

    def make() -> WholeSender:
        session = _session()
        exporter = OTLPSpanExporter(
            endpoint=endpoint, headers=_key(session, endpoint), timeout=_TIMEOUT if endpoint else None, session=session
        )
        where = endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
        return WholeSender(_redacted(exporter, redacting), said, session, where)

    return make


def _key(session: Session | None, endpoint: str | None) -> dict[str, str] | None:
    """DRIFTLINE_API_KEY as a header, for our own endpoint alone: where the standard variables lead may be anybody's.

    `OTEL_EXPORTER_OTLP_HEADERS` goes before it.
    """
    key = os.environ.get("DRIFTLINE_API_KEY", "").strip()
    if not key or endpoint is None:
        return None
    header = {"authorization": f"Bearer {key}"}
    if session is None:
        return None if os.environ.get("OTEL_EXPORTER_OTLP_HEADERS") else header
    session.headers.update(header)  # the exporter puts the standard headers over it
    return None


def _session() -> Session | None:
    try:
        from driftline._session import Session
    except ImportError:  # an exporter that came with another HTTP client: it retries in its own way
        return None
    return Session()


def _grpc() -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
    except ImportError:
        raise DriftlineError("OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "pip install 'driftline[grpc]'") from None
    return GrpcExporter()
