"""Stored data in formats of others: OTLP again, or Parquet; by the engine, a few traces at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftline.collector.store.decoding import export_settings, export_statement
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.store import Store

# What can be had as Parquet, and by which of the two keys it is found.
TABLES = {
    "spans": ("otel_traces", "TraceId"),
    "logs": ("otel_logs", "TraceId"),
    "steps": ("steps", "trace_id"),
    "memory": ("memory_ops", "trace_id"),
    "runs": ("runs", "run_id"),
    "findings": ("findings", "run_id"),
}
_TOGETHER = 500  # traces or runs in memory at once

_TRACES = """
SELECT DISTINCT trace_id AS id FROM steps FINAL
WHERE started_at >= {since:DateTime64(9, 'UTC')} AND started_at < {until:DateTime64(9, 'UTC')}
    AND ({run:String} = '' OR run_id = {run:String}
        OR trace_id IN (SELECT trace_id FROM run_traces FINAL WHERE run_id = {run:String}))
    AND ({workflow:String} = '' OR trace_id IN (
        SELECT trace_id FROM run_traces FINAL
        WHERE run_id IN (SELECT run_id FROM runs FINAL WHERE workflow = {workflow:String})))
ORDER BY id
"""
_RUNS = """
SELECT run_id AS id FROM runs FINAL
WHERE started_at >= {since:DateTime64(9, 'UTC')} AND started_at < {until:DateTime64(9, 'UTC')}
    AND ({run:String} = '' OR run_id = {run:String}) AND ({workflow:String} = '' OR workflow = {workflow:String})
ORDER BY id
"""


class CannotExport(DriftlineError):
    """What was asked for cannot be written."""


@dataclass(frozen=True)
class Wanted:
    """What to export: runs and traces that began in a window, of one run or workflow if these are not ''."""

    since: datetime | None = None
    until: datetime | None = None
    run: str = ""
    workflow: str = ""

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of the statements that find them."""
        return {
            "since": f"{self.since:%Y-%m-%d %H:%M:%S.%f}" if self.since else "1970-01-01 00:00:00",
            "until": f"{self.until:%Y-%m-%d %H:%M:%S.%f}" if self.until else "2262-01-01 00:00:00",
            "run": self.run,
            "workflow": self.workflow,
        }


def export_otlp(store: Store, wanted: Wanted, path: Path, say: Callable[[str], None]) -> int:
    """Write the spans of *wanted* to *path* as length-delimited OTLP requests; how many traces these were.

    Attribute values are text, as they are stored: whether one was a number is not known any more.

    Raises:
        CannotExport: the file cannot be written.
    """
    done = 0
    settings = export_settings(embedded=store.embedded)
    with _writing(path) as file:
        for ids in _chunks(store, _TRACES, wanted):
            for piece in store.stream(export_statement(), "Protobuf", {"traces": ids}, settings):
                file.write(piece)
            done += len(ids)
            say(f"{done:,} traces")
    return done


def export_parquet(store: Store, wanted: Wanted, table: str, path: Path, say: Callable[[str], None]) -> int:
    """Write the rows of *table* (one of `TABLES`) that belong to *wanted* to *path*; how many rows these were.

    Raises:
        CannotExport: there is no such table, or the file cannot be written.
    """
    import pyarrow.parquet as pq

    if table not in TABLES:
        raise CannotExport(f"there is no table {table!r} to export", f"choose one of {', '.join(TABLES)}")
    name, key = TABLES[table]
    statement = f"SELECT * FROM {name} FINAL WHERE {key} IN (SELECT arrayJoin({{ids:Array(String)}})) ORDER BY {key}"
    rows, writer = 0, None
    with _writing(path) as file:
        for ids in _chunks(store, _RUNS if key == "run_id" else _TRACES, wanted):
            found = store.arrow(statement, {"ids": ids})
            writer = writer or pq.ParquetWriter(file, found.schema, compression="zstd")
            writer.write_table(found)
            rows += found.num_rows
            say(f"{rows:,} rows")
        if writer is None:  # a file of no rows still says what its columns are
            pq.write_table(store.arrow(statement, {"ids": []}), file)
        else:
            writer.close()
    return rows


def _chunks(store: Store, statement: str, wanted: Wanted) -> Iterator[list[str]]:
    ids: list[str] = store.frame(statement, wanted.params)["id"].to_list()
    for begin in range(0, len(ids), _TOGETHER):
        yield ids[begin : begin + _TOGETHER]


class _writing:  # noqa: N801 - used like a statement
    """A file that is there when it is whole, and not before."""

    def __init__(self, path: Path) -> None:
        self._path, self._partial = path, path.with_name(f"{path.name}.partial")

    def __enter__(self) -> Any:
        try:
            self._file = self._partial.open("wb")
        except OSError as error:
            raise CannotExport(f"{self._path} cannot be written: {error.strerror}", "give another file") from error
        return self._file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)


def wanted_from(said: Mapping[str, Any]) -> Wanted:
    """*said* as it came over a wire: moments in ISO 8601."""
    moments = {name: datetime.fromisoformat(said[name]) if said.get(name) else None for name in ("since", "until")}
    return Wanted(**moments, run=said.get("run") or "", workflow=said.get("workflow") or "")
