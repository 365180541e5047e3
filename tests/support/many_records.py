"""Many histories judged from one visit to the store: their spans are told apart by trace, then judged in memory.

So a law can be tried on every case and every span of it, which would take minutes with a store filled for each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl
from histories import framed, fresh_store, requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from driftline.analyzers.record import Record
from driftline.analyzers.runs import resolve_runs
from driftline.analyzers.scope import Scope, scoped
from driftline.collector.store import Store


@dataclass(frozen=True)
class Frames:
    """What the store says of one history, of which a `Record` can be made again and again."""

    spans: pl.DataFrame
    memory: pl.DataFrame
    trace_runs: pl.DataFrame
    store: Store

    def record(self, without: Iterable[str] = ()) -> Record:
        """The record, as if the spans *without* (span ids) had been lost."""
        lost = list(without)
        spans = self.spans.filter(~pl.col("span_id").is_in(lost))
        memory = self.memory.filter(~pl.col("span_id").is_in(lost))
        traces = self.trace_runs.join(spans.select("trace_id").unique(), on="trace_id", how="semi")
        timed = spans.filter(pl.col("seq").is_not_null() & (pl.col("instance") != ""))
        ticks = pl.concat(
            [
                timed.select("instance", tick="seq"),
                timed.filter(pl.col("seq_end").is_not_null()).select("instance", tick="seq_end"),
            ]
        )
        record = Record(spans, memory, traces, ticks)
        record._store = self.store  # where the payloads are
        return record


def frames_of(texts: Sequence[str]) -> list[Frames]:
    """The frames of many histories."""
    store = fresh_store()
    batches = [_apart(batch, number) for number, text in enumerate(texts) for batch in requests(text)]
    store.insert_requests(framed(batches), hashlib.sha256(repr(texts).encode()).hexdigest())
    package, params = "driftline.analyzers", {**Scope().params(), "wanted": []}
    of = pl.col("trace_id").str.slice(0, 4)
    spans, memory, traces = (
        frame.with_columns(of.alias("history")).partition_by("history", as_dict=True, include_key=False)
        for frame in (
            store.frame(scoped(package, "sql/record_steps.sql"), params),
            store.frame(scoped(package, "sql/record_memory.sql"), params),
            resolve_runs(store, Scope()),
        )
    )
    keys = [(f"{number:04x}",) for number in range(len(texts))]
    nothing = next(iter(memory.values())).clear()
    return [Frames(spans[key], memory.get(key, nothing), traces[key], store) for key in keys]


def _apart(batch: ExportTraceServiceRequest, number: int) -> ExportTraceServiceRequest:
    """*batch* with the number of its history in front of all trace ids."""
    mark = number.to_bytes(2, "big")
    for resource in batch.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                span.trace_id = mark + span.trace_id[2:]
                for link in span.links:
                    link.trace_id = mark + link.trace_id[2:]
    return batch
