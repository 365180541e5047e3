"""Analysis beside ingest: a run is judged when it has gone quiet, and again when late spans may have come."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from driftline.analyzers.config import Config
from driftline.analyzers.engine import analyse
from driftline.analyzers.persist import persist
from driftline.analyzers.scope import Scope
from driftline.collector.store import read_sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftline.collector.store import Store

_log = logging.getLogger("driftline.analysis")

_BATCH = 2_000  # traces judged at once: bounds memory when a backlog is worked off
_NEIGHBOURS = 200  # traces of each kind that are read along, because a finding over runs may rest on them
_OVERLAP = timedelta(seconds=5)  # ingest stamps rows before they become visible
_LOOK_ANYWAY = 30.0  # seconds after which the store is asked although our collector has stored nothing
_LONGEST_PAUSE = 60.0  # seconds between attempts while the store does not answer
_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)


class AnalysisLoop:
    """Judges runs of *store* as they go quiet, in a thread of its own.

    *quiet*: seconds without a new span after which a run is judged; *revisits*: seconds after that at which it is
    judged again. *poll*: seconds between looks. *stored*: a counter that moves when spans were stored; while it stands
    still and nothing is due, the store is left alone, so a project at rest costs nothing.
    """

    def __init__(
        self,
        store: Store,
        config: Config | None = None,
        *,
        quiet: float = 2.0,
        revisits: tuple[float, ...] = (60.0, 600.0),
        poll: float = 1.0,
        stored: Callable[[], int] | None = None,
    ) -> None:
        self._store = store
        self._config = config or Config()
        self._quiet = quiet
        self._revisits = revisits
        self._poll = poll
        self._stored = stored
        self._looked = (-1, 0.0)  # what the counter said when the store was last asked, and when that was
        self._due: dict[str, list[float]] = {}
        self._after = _BEGINNING
        self._seen: dict[str, datetime] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; what the store already holds and nobody judged is judged first."""
        self._resume()
        self._thread = threading.Thread(target=self._run, name="driftline-analysis", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand and end."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def backlog(self) -> tuple[int, float]:
        """How many traces wait to be judged, and for how many seconds the one that is most overdue does."""
        now = time.monotonic()
        overdue = [now - times[0] for times in list(self._due.values()) if times and times[0] <= now]
        return len(overdue), max(overdue, default=0.0)

    def run_once(self, *, ignore_quiet: bool = False) -> int:
        """Judge every run that is due (with *ignore_quiet*, every changed one now); the number of traces judged."""
        now = time.monotonic()
        self._note(self._changed(), now)
        due = [trace for trace, times in self._due.items() if ignore_quiet or times[0] <= now]
        done = 0
        for start in range(0, len(due), _BATCH):
            if self._stop.is_set():
                break
            batch = due[start : start + _BATCH]
            self._judge(batch)
            done += len(batch)
            self._reschedule(batch, now)
        self._seen = {trace: moment for trace, moment in self._seen.items() if moment > self._after}
        return done

    def _note(self, changed: list[tuple[str, datetime]], now: float) -> None:
        """A trace with a new span is due when it will have been quiet, and at its revisits."""
        for trace, moment in changed:
            if self._seen.get(trace) != moment:
                self._seen[trace] = moment
                self._due[trace] = [now + self._quiet, *(now + self._quiet + later for later in self._revisits)]

    def _reschedule(self, judged: list[str], now: float) -> None:
        for trace in judged:
            rest = [moment for moment in self._due[trace][1:] if moment > now]
            if rest:
                self._due[trace] = rest
            else:
                self._due.pop(trace)

    def _judge(self, traces: list[str]) -> None:
        """Judge the runs of *traces*. A run that cannot be judged is found by halving, named, and stops nobody else."""
        try:
            self._analyse(traces, pass_over_failing=False)
        except Exception:  # noqa: BLE001 - told apart below: the store is out of reach, or a run cannot be judged
            self._store.value("SELECT 1")  # raises while the store does not answer: nothing is wrong with the runs then
            if len(traces) > 1:
                middle = len(traces) // 2
                self._judge(traces[:middle])
                self._judge(traces[middle:])
            else:
                self._judge_as_far_as_possible(traces)

    def _judge_as_far_as_possible(self, traces: list[str]) -> None:
        try:
            self._analyse(traces, pass_over_failing=True)
        except Exception:  # noqa: BLE001 - one run must not stop the others
            _log.exception("the run of trace %s cannot be judged; it is tried again if spans of it come", traces[0])

    def _analyse(self, traces: list[str], *, pass_over_failing: bool) -> None:
        around = self._whole_runs(self._with_neighbours(self._whole_runs(traces)))
        scope = Scope(traces=tuple(around))
        persist(self._store, analyse(self._store, scope, self._config, pass_over_failing=pass_over_failing))

    def _whole_runs(self, traces: list[str]) -> list[str]:
        """*traces* and all traces that may belong to the same runs."""
        known, fresh = set(traces), list(traces)
        statement = read_sql(__package__ or "", "sql/related_traces.sql")
        while fresh:
            found = {row["trace_id"] for row in self._store.rows(statement, {"traces": fresh})} - known
            known |= found
            fresh = sorted(found)
        return sorted(known)

    def _with_neighbours(self, traces: list[str]) -> list[str]:
        statement = read_sql(__package__ or "", "sql/neighbour_traces.sql")
        rows = self._store.rows(statement, {"traces": traces, "most": _NEIGHBOURS})
        return sorted({*traces, *(row["trace_id"] for row in rows)})

    def _changed(self) -> list[tuple[str, datetime]]:
        statement = read_sql(__package__ or "", "sql/changed_traces.sql")
        rows = self._store.rows(statement, {"after": self._after.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]})
        found = [(row["trace_id"], _utc(row["last_span_at"])) for row in rows]
        self._look_from(found)
        return found

    def _resume(self) -> None:
        """Take up what is not judged, or not with its newest spans; then look from where the store stands."""
        newest = self._store.value("SELECT max(last_span_at) FROM run_parts")
        self._look_from([("", _utc(newest))] if newest else [])
        self._seen = dict(self._changed())
        unjudged = self._store.rows(read_sql(__package__ or "", "sql/unjudged_traces.sql"))
        for row in unjudged:
            self._seen.pop(row["trace_id"], None)
        self._note([(row["trace_id"], _utc(row["last_span_at"])) for row in unjudged], time.monotonic())

    def _look_from(self, found: list[tuple[str, datetime]]) -> None:
        self._after = max([self._after, *(moment - _OVERLAP for _, moment in found)])

    def _run(self) -> None:
        pause = self._poll
        while not self._stop.wait(pause):
            pause = self._poll if self._try_once() else min(2 * pause, max(_LONGEST_PAUSE, self._poll))

    def _at_rest(self) -> bool:
        """Whether nothing can have changed since the last look, and nothing is due."""
        now = time.monotonic()
        stored = self._stored() if self._stored else None
        if stored == self._looked[0] and now - self._looked[1] < _LOOK_ANYWAY:
            return not any(times[0] <= now for times in self._due.values())
        self._looked = (-1 if stored is None else stored, now)
        return False

    def _store_answers(self) -> bool:
        try:
            self._store.value("SELECT 1")
        except Exception:  # noqa: BLE001 - that is the answer
            return False
        return True

    def _try_once(self) -> bool:
        try:
            if not self._at_rest():
                self.run_once()
        except Exception as error:  # noqa: BLE001 - the thread outlives whatever befalls the store
            if self._store_answers():
                _log.exception("analysis is interrupted; what is due stays due")
            else:  # nothing is wrong with the analysis: where is not worth a page
                said = (str(error).splitlines() or [""])[0][-300:]
                _log.warning("analysis waits for ClickHouse, what is due stays due: %s", said)
            self._looked = (-1, 0.0)
            return False
        return True


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=timezone.utc)
