"""The store: what is in it, and in what state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from driftline.cli.checkup import Observation
from driftline.cli.context import is_url, reading, running_server
from driftline.cli.queries import ask
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.store import Store

_MANY_PARTS = 300  # of one partition: ClickHouse slows inserts down at 1,000 and refuses them at 3,000
_CLOCK = 60  # seconds by which a span may begin after it came


def look(data: str) -> Iterator[Observation]:
    """What can be read through the running server, or here."""
    from driftline.collector.store import StoreNotFound

    try:
        with reading(data) as store:
            yield Observation("ok", f"engine ClickHouse {store.value('SELECT version()')}")
            yield from _spans(store)
            yield from _clocks(store)
            yield from _parts(store)
            yield from _retention(store)
            server = None if is_url(data) else running_server(data)
            if is_url(data) or (server and server.store):
                yield from _system_logs(store)
    except StoreNotFound as error:
        yield Observation("note", error.what, error.todo)
    except DriftlineError as error:
        yield Observation("bad", error.what, error.todo)


def _spans(store: Store) -> Iterator[Observation]:
    stored = ask(store, "spans_stored")[0]
    if stored["spans"]:
        yield Observation("ok", f"{stored['spans']:,} spans stored, the last one at {stored['last']}")
    else:
        yield Observation(
            "note",
            "no span ever came",
            "tell the program: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 and "
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf; with driftline's SDK driftline.init() does",
        )
    waiting = ask(store, "unjudged_traces")[0]["traces"]
    if waiting:
        yield Observation(
            "note", f"{waiting:,} traces are not judged yet", "`driftline up` judges them, or run `driftline report`"
        )


def _clocks(store: Store) -> Iterator[Observation]:
    for row in ask(store, "clocks_ahead", seconds=_CLOCK):
        who = " on ".join(word for word in (row["service"], row["host"]) if word) or "an unnamed service"
        yield Observation(
            "note",
            f"the clock of {who} is ahead by up to {row['ahead']:,} s: {row['spans']:,} spans began after they came",
            "set its clock (NTP); what is concluded from times of different hosts is weaker until then, see --skew",
        )


def _parts(store: Store) -> Iterator[Observation]:
    for row in ask(store, "many_parts", most=_MANY_PARTS):
        yield Observation(
            "bad",
            f"table {row['table']} has {row['parts']:,} parts in partition {row['partition']}",
            "`driftline compact`; senders of very small batches may cause it",
        )


def _retention(store: Store) -> Iterator[Observation]:
    from driftline.collector.upkeep import Retention, retention_of, tables_out_of_step

    kept = retention_of(store)
    if kept == Retention():
        yield Observation("ok", "spans and findings are kept for ever")
    else:
        spans, findings = (f"{days} days" if days else "ever" for days in (kept.spans, kept.findings))
        yield Observation("ok", f"spans are kept for {spans}, findings for {findings}")
    odd = tables_out_of_step(store)
    if odd:
        yield Observation(
            "bad",
            f"retention is not in force in {', '.join(odd)}",
            f"`driftline retention --spans {f'{kept.spans}d' if kept.spans else 'forever'}` puts it right",
        )
    if kept.spans:
        due = ask(store, "spans_due", days=kept.spans + 1)[0]["spans"]
        if due:
            yield Observation(
                "note", f"{due:,} spans are due and not deleted yet", "`driftline compact` deletes them now"
            )


def _system_logs(store: Store) -> Iterator[Observation]:
    """A ClickHouse server writes logs of its own, as a rule for ever."""
    try:
        rows = ask(store, "system_logs_without_ttl")
    except Exception as error:  # noqa: BLE001 - a user who may not look at them need not
        yield Observation("note", f"ClickHouse's own logs cannot be looked at: {str(error).splitlines()[0][:200]}")
        return
    for row in rows:
        yield Observation(
            "note",
            f"ClickHouse keeps system.{row['name']} for ever: {row['bytes'] / 2**20:,.0f} MiB",
            f"ALTER TABLE system.{row['name']} MODIFY TTL event_date + INTERVAL 30 DAY; and <ttl> in its config",
        )
