"""Tiny histories in one-line notation, turned into the OTLP a program would have sent (docs/detectors/notation.md).

One span a line. The first word is the process (its `service.instance.id`; each has its own logical clock). Indentation
makes a child of the nearest open span of the same process; a span ends when the next line of its process is not inside
it, or at the end of the text. Line order is the order of starts. `key=value` sets an attribute by its short name.

    P1 run(order) outcome=complete expects=tool:charge
      P1 agent(planner)
        P1 tool(charge) args=o1 effect=write eo=applied call=c1 attempt=1 target=order/1
        P1 write(notes/plan@v2 <- v1)        # `<- init`: nothing was there; no arrow: a blind write
        P1 read(notes/plan@v1, notes/todo@v4)
        P1 write(notes/plan@v3 <- v2) !rolled_back
        P1 send(q) #m1
    P2 process(q) #m1                        # linked to the span of that label

Flags: `open` (never ends: only its pending copy was exported), `stay` (ends at `P1 end #label` or at the end of the
text), `noseq`. `parent=LABEL` makes a child across processes. `run=-` sends no run id.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from typing import Any

from history_notation import MS, T0, HistorySpan, leave_open, parse
from history_otlp import fill, framed, request_of
from history_words import digest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from shared_store import close_shared_store, fresh_store

from driftline.analyzers import Config, Report, Scope, analyse
from driftline.analyzers.record import Record
from driftline.analyzers.runs import resolve_runs

__all__ = [
    "MS",
    "T0",
    "HistorySpan",
    "close_shared_store",
    "digest",
    "fill",
    "framed",
    "fresh_store",
    "judge",
    "parse",
    "record",
    "report",
    "requests",
]


def requests(
    text: str,
    *,
    drop: Iterable[int] = (),
    double: Iterable[int] = (),
    unended: Iterable[int] = (),
    shuffle: int | None = None,
    shift_ms: dict[str, float] | None = None,
    rename: Callable[[str], str] | None = None,
) -> list[ExportTraceServiceRequest]:
    """The history as OTLP, one request a process.

    *drop*, *double* and *unended* (only its pending copy came) name spans by position; *shift_ms*: clocks.
    """
    spans = parse(rename(text) if rename else text)
    for place in unended:
        leave_open(spans[place])
    dropped, doubled = set(drop), set(double)
    chosen = [span for place, span in enumerate(spans) if place not in dropped for _ in range(1 + (place in doubled))]
    if shuffle is not None:
        random.Random(shuffle).shuffle(chosen)
    by_process: dict[str, list[HistorySpan]] = {}
    for span in chosen:
        by_process.setdefault(span.process, []).append(span)
    return [request_of(process, members, (shift_ms or {}).get(process, 0.0)) for process, members in by_process.items()]


def report(text: str, config: Config | None = None, *, read_all_below: int = 200_000, **how: Any) -> Report:
    """Judge a history, with the real engine."""
    return judge(requests(text, **how), config, read_all_below=read_all_below)


def record(text: str, **how: Any) -> Record:
    """The normalised record of a history, as detectors get it."""
    store = fresh_store()
    store.insert_requests(framed(requests(text, **how)), hashlib.sha256(random.randbytes(16)).hexdigest())
    return Record.load(store, Scope(), resolve_runs(store, Scope()))


def judge(
    batches: Iterable[ExportTraceServiceRequest], config: Config | None = None, *, read_all_below: int = 200_000
) -> Report:
    """Judge OTLP requests as one record, in a store emptied first."""
    store = fresh_store()
    store.insert_requests(framed(batches), hashlib.sha256(random.randbytes(16)).hexdigest())
    return analyse(store, config=config, read_all_below=read_all_below)
