"""What of a request is worth storing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from driftline.collector.otlp.signals import LOGS, METRICS, TRACES, Request, Signal

_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)  # ids that are none


@dataclass(frozen=True)
class Accepted:
    """A request worth storing.

    Its message, which was *changed* or not; how many items it holds, how many were left out, and what to say of it (''
    when there is nothing to say).
    """

    request: Request
    items: int
    rejected: int
    reason: str
    changed: bool


def accept(request: Request, signal: Signal = TRACES, emptied: int = 0, notes: Sequence[str] = ()) -> Accepted:
    """Leave out what cannot be stored; keep the rest.

    *emptied*: values that were found to mean nothing; told, as *notes* are.
    """
    if signal is METRICS:
        return _refuse_points(request)
    accepted = _accept_records(request) if signal is LOGS else _accept_spans(request)
    told = [accepted.reason] if accepted.reason else []
    if emptied:
        told.append(
            f"{emptied} values refer to a table of strings, which {signal.name} do not have; they are kept empty"
        )
    return replace(accepted, reason="; ".join([*told, *notes]))


def _accept_spans(request: Request) -> Accepted:
    """Spans without valid ids are left out."""
    spans = rejected = 0
    for group in request.resource_spans:
        for scoped in group.scope_spans:
            bad = [
                number
                for number, span in enumerate(scoped.spans)
                if not _valid(span.trace_id, _NO_TRACE) or not _valid(span.span_id, _NO_SPAN)
            ]
            for number in reversed(bad):
                del scoped.spans[number]
            rejected += len(bad)
            spans += len(scoped.spans)
    reason = (
        f"{rejected} spans have no valid trace id (16 bytes) or span id (8 bytes), not all zero" if rejected else ""
    )
    return Accepted(request, spans, rejected, reason, rejected > 0)


def _accept_records(request: Request) -> Accepted:
    """A log record without valid ids belongs to no span, as the data model has it; it is kept."""
    records, changed = 0, False
    for group in request.resource_logs:
        for scoped in group.scope_logs:
            records += len(scoped.log_records)
            for record in scoped.log_records:
                if record.trace_id and not _valid(record.trace_id, _NO_TRACE):
                    record.ClearField("trace_id")
                    changed = True
                if record.span_id and not (_valid(record.span_id, _NO_SPAN) and record.trace_id):
                    record.ClearField("span_id")
                    changed = True
    return Accepted(request, records, 0, "", changed)


def _refuse_points(request: Request) -> Accepted:
    """driftline keeps no metrics. A partial success says so without an error that exporters would log or repeat."""
    points = sum(
        len(getattr(metric, metric.WhichOneof("data")).data_points) if metric.WhichOneof("data") else 0
        for group in request.resource_metrics
        for scoped in group.scope_metrics
        for metric in scoped.metrics
    )
    reason = "driftline stores traces and logs, no metrics: turn this exporter off or send it elsewhere"
    return Accepted(request, 0, points, reason if points else "", False)


def _valid(identifier: bytes, none: bytes) -> bool:
    return len(identifier) == len(none) and identifier != none
