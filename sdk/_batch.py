"""Ended spans on their way to the exporter: one queue, one daemon thread, every wait bounded.

OpenTelemetry's own batch processor waits up to 30 seconds for a collector that hangs, whatever time it is given, and
its exporter sleeps between retries while the program wants to end. Here a program ends when it wants to.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from driftline._guard import described, warn_once
from driftline._span_copy import PendingCopy

QUEUE = 8192
BATCH = 512
_DELAY = 0.5
_LONGEST_PAUSE = 30.0
# Instrumentations of HTTP clients must not trace our own requests: under both names they look for.
_SUPPRESS = (getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", ""), "suppress_instrumentation")


class Sender(Protocol):
    """Takes a batch away, and says which spans of it did not arrive; `worth_retrying`: another try makes sense.

    *given_up*: how many spans of the process had been lost before, for the receiver to know.
    """

    @property
    def worth_retrying(self) -> bool: ...
    def send(self, spans: Sequence[ReadableSpan], given_up: int) -> Sequence[ReadableSpan]: ...
    def shutdown(self) -> None: ...


class _Marker:
    """Stands in the queue behind the spans a flush waits for."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.sent = False


class BatchProcessor(SpanProcessor):
    """Queues ended spans and sends them in batches, twice a second or when a batch is full.

    When the queue is full the newest spans are dropped: what was kept then still begins with the runs' roots, and the
    gap in `driftline.seq` shows that something is missing. How many were dropped, or lost because nobody took them,
    is counted in `given_up`, and said with every later batch.
    """

    def __init__(self, make_sender: Callable[[], Sender]) -> None:
        self._make_sender = make_sender
        self._sender: Sender | None = None
        self.closed = False
        self._renew()
        if hasattr(os, "register_at_fork"):
            weak = weakref.WeakMethod(self._renew)

            def renew() -> None:
                if method := weak():
                    method()

            os.register_at_fork(after_in_child=renew)

    def _renew(self) -> None:
        """Begin anew, as every child of a fork must: the parent sends what the parent queued, over its connection."""
        self._queue: deque[ReadableSpan | _Marker] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._sender = None
        self._counting = threading.Lock()
        self.given_up = 0

    # -- SpanProcessor

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is to be done at the start."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue *span*."""
        context = span.context
        if self.closed or context is None or not context.trace_flags.sampled:
            return
        queue = self._queue
        if len(queue) >= QUEUE:
            warn_once("queue", "driftline drops spans: %d are waiting to be sent", QUEUE)
            self._give_up([span])
            return
        queue.append(span)
        if self._thread is None:
            self._start()
        if len(queue) >= BATCH and not self._wake.is_set():
            self._wake.set()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what was queued before; false if that failed or took longer."""
        if self.closed or (not self._queue and self._thread is None):
            return True
        marker = _Marker()
        self._queue.append(marker)
        self._start()
        self._wake.set()
        return marker.reached.wait(timeout_millis / 1000) and marker.sent

    def shutdown(self) -> None:
        """Send what is queued, waiting 5 seconds at most, and stop."""
        self.close(5.0)

    def close(self, timeout: float) -> None:
        """As `shutdown`, with a bound of your own: what cannot be sent by then is lost."""
        if self.closed:
            return
        self.closed = True
        self._closing.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(timeout)
        elif self._queue:
            self._drain()  # threads can no longer be started while the interpreter ends
        if self._sender is not None:
            self._sender.shutdown()

    # -- the worker

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._work, name="driftline", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return
                self._thread = thread

    def _work(self) -> None:
        quiet = otel_context.get_current()
        for key in filter(None, _SUPPRESS):
            quiet = otel_context.set_value(key, True, quiet)
        otel_context.attach(quiet)
        while not self._closing.is_set():
            self._wake.wait(_DELAY)
            self._wake.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._queue:
            sent = True
            batch: list[ReadableSpan] = []
            marker: _Marker | None = None
            while self._queue and len(batch) < BATCH and marker is None:
                item = self._queue.popleft()
                if type(item) is _Marker:
                    marker = item
                else:
                    batch.append(cast("ReadableSpan", item))
            if batch:
                sent = self._send(_without_superseded(batch))
            if marker is not None:
                marker.sent = sent
                marker.reached.set()
            if not sent and self._closing.is_set():
                self._queue.clear()

    def _give_up(self, spans: Iterable[object]) -> None:
        lost = sum(not isinstance(span, PendingCopy) for span in spans)
        with self._counting:
            self.given_up += lost

    def _send(self, batch: list[ReadableSpan]) -> bool:
        pause = _DELAY
        while True:
            try:
                if self._sender is None:
                    self._sender = self._make_sender()
                lost = self._sender.send(batch, self.given_up)
            except Exception as error:  # noqa: BLE001 - the thread lives on, also under test
                warn_once("sending", "driftline cannot send spans (%s: %s)", type(error).__name__, described(error))
                self._give_up(batch)
                return False
            if not lost:
                return True
            if not self._sender.worth_retrying or self._closing.is_set():
                self._give_up(lost)
                return False
            self._closing.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _without_superseded(batch: list[ReadableSpan]) -> list[ReadableSpan]:
    """*batch* without the pending copies whose final span is in it too."""
    if not any(isinstance(span, PendingCopy) for span in batch):
        return batch
    final = {_ids(span) for span in batch if not isinstance(span, PendingCopy)}
    return [span for span in batch if not isinstance(span, PendingCopy) or _ids(span) not in final]


def _ids(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    return (context.trace_id, context.span_id) if context else (0, 0)
