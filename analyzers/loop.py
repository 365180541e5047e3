"""Analysis beside ingest: a run is judged when it has gone quiet, and again when late spans may have come."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from driftline.analyzers.config import Config
from driftline.analyzers.engine import Report, analyse
from driftline.analyzers.persist import persist
from driftline.analyzers.scope import Scope
from driftline.collector.store import read_sql

if TYPE_CHECKING:
    from driftline.collector.store import Store

_log = logging.getLogger("driftline.analysis")

_BATCH = 2_000  # traces judged at once: bounds memory when a backlog is worked off
_OVERLAP = timedelta(seconds=5)  # ingest stamps rows before they become visible


class AnalysisLoop:
    """Judges runs of *store* as they go quiet, in a thread of its own.

    *quiet*: seconds without a new span after which a run is judged; *revisits*: seconds after that at which it is
    judged again. *poll*: seconds between looks.
    """

    def __init__(
        self,
        store: Store,
        config: Config | None = None,
        *,
        quiet: float = 2.0,
        revisits: tuple[float, ...] = (60.0, 600.0),
        poll: float = 1.0,
    ) -> None:
        self._store = store
        self._config = config or Config()
        self._quiet = quiet
        self._revisits = revisits
        self._poll = poll
        self._due: dict[str, list[float]] = {}
        self._after = datetime(1970, 1, 1, tzinfo=timezone.utc)
        self._seen: dict[str, datetime] = {}
        self._stop = threading.Event()
        self._idle = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; what the store already holds and nobody judged is judged first."""
        self._after = self._judged_until()
        self._thread = threading.Thread(target=self._run, name="driftline-analysis", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand and end."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def run_once(self, *, ignore_quiet: bool = False) -> int:
        """Judge every run that is due (with *ignore_quiet*, every changed one now); the number of traces judged."""
        now = time.monotonic()
        for trace, moment in self._changed():
            if self._seen.get(trace) != moment:
                self._seen[trace] = moment
                self._due[trace] = [now + self._quiet, *(now + self._quiet + later for later in self._revisits)]
        due = [trace for trace, times in self._due.items() if ignore_quiet or times[0] <= now]
        for start in range(0, len(due), _BATCH):
            if self._stop.is_set():
                break
            self._judge(due[start : start + _BATCH])
        for trace in due:
            rest = [moment for moment in self._due[trace] if moment > now][0 if ignore_quiet else 0 :]
            if rest:
                self._due[trace] = rest
            else:
                self._due.pop(trace)
                self._seen.pop(trace, None)
        return len(due)

    def _judge(self, traces: list[str]) -> Report:
        report = analyse(self._store, Scope(traces=tuple(self._whole_runs(traces))), self._config)
        persist(self._store, report)
        return report

    def _whole_runs(self, traces: list[str]) -> list[str]:
        """*traces* and all traces that may belong to the same runs."""
        known, fresh = set(traces), list(traces)
        statement = read_sql(__package__ or "", "sql/related_traces.sql")
        while fresh:
            found = {row["trace_id"] for row in self._store.rows(statement, {"traces": fresh})} - known
            known |= found
            fresh = sorted(found)
        return sorted(known)

    def _changed(self) -> list[tuple[str, datetime]]:
        statement = read_sql(__package__ or "", "sql/changed_traces.sql")
        rows = self._store.rows(statement, {"after": self._after.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]})
        if rows:
            newest = max(row["last_span_at"] for row in rows).replace(tzinfo=timezone.utc)
            self._after = max(self._after, newest - _OVERLAP)
        return [(row["trace_id"], row["last_span_at"]) for row in rows]

    def _judged_until(self) -> datetime:
        found = self._store.value("SELECT max(last_span_at) FROM runs")
        moment = found.replace(tzinfo=timezone.utc) if found else datetime(1970, 1, 1, tzinfo=timezone.utc)
        return max(moment - timedelta(minutes=10), datetime(1970, 1, 1, tzinfo=timezone.utc))

    def _run(self) -> None:
        while not self._stop.wait(self._poll):
            try:
                self.run_once()
            except Exception:
                _log.exception("analysis failed; it is tried again with the next spans")
