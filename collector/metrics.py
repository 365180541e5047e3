"""What Prometheus reads: the counters of the collectors and of the process, in its text format."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from driftline import __version__
from driftline.collector.collector import Collector
from driftline.collector.timings import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Name, type, what stats() calls it, help.
_OF_STATS = (
    ("requests_received_total", "counter", "received", "Export requests that were read."),
    ("requests_repeated_total", "counter", "repeated", "Requests acknowledged before, byte for byte, not taken again."),
    ("items_acknowledged_total", "counter", "acknowledged", "Spans and log records that are on disk."),
    ("items_stored_total", "counter", "stored", "Spans and log records that ClickHouse took."),
    ("items_rejected_total", "counter", "rejected", "Spans and log records left out, for want of valid ids."),
    ("items_lost_total", "counter", "lost", "Acknowledged items that somebody deleted before they were stored."),
    ("log_bytes", "gauge", "log_bytes", "Size of the write-ahead log."),
    ("log_limit_bytes", "gauge", "log_limit", "Size of the log at which senders are refused."),
    ("log_oldest_age_seconds", "gauge", "oldest_unstored", "How long the oldest request in the log has waited."),
    ("log_waiting_segments", "gauge", "waiting_segments", "Batches that wait for ClickHouse."),
    ("dead_letters", "gauge", "dead_letters", "Batches set aside, refused by ClickHouse or damaged."),
    ("last_insert_timestamp_seconds", "gauge", "last_insert", "When ClickHouse last took a batch; 0: not yet."),
)  # fmt: skip
_HISTOGRAMS = (
    ("log_commit_seconds", "commit", "Writing a group of requests to the log until the disk has it."),
    ("insert_seconds", "insert", "One batch into ClickHouse."),
    ("insert_lag_seconds", "lag", "From the first request of a batch until it can be queried."),
)
_GAUGES = {
    "analysis_lag_seconds": "How long the trace that is most overdue has waited to be judged.",
    "analysis_due_traces": "Traces that wait to be judged now.",
}
_STARTED = time.time()


@dataclass(frozen=True)
class Watched:
    """A project whose collector is watched. *gauges*: what else is known of it, named as in `_GAUGES`."""

    project: str
    collector: Collector
    gauges: Callable[[], Mapping[str, float]] = field(default=dict)


@dataclass(frozen=True)
class Watch:
    """What is watched: the open projects; *refused* at the door, by reason; the *folder* whose disk may be full."""

    projects: Callable[[], Iterable[Watched]]
    refused: Callable[[], Mapping[str, int]] = field(default=dict)
    folder: Path | None = None

    def troubles(self) -> list[str]:
        """Why this server should be sent nothing at present, each reason once."""
        found = (str(watched.collector.stats()["trouble"]) for watched in self.projects())
        return list(dict.fromkeys(reason for reason in found if reason))


def exposition(watch: Watch, readable: Iterable[str] | None = None) -> str:
    """The metrics of the projects that are *readable* (None: all), and of the process."""
    names = None if readable is None else frozenset(readable)
    watched = [one for one in watch.projects() if names is None or one.project in names]
    lines: list[str] = []
    for family in (*_collectors(watched), *_door(watch), *_process(watch)):
        lines += family
    return "\n".join(lines) + "\n"


def _collectors(watched: list[Watched]) -> Iterator[list[str]]:
    all_stats = [(one.project, one.collector.stats()) for one in watched]
    for name, kind, key, about in _OF_STATS:
        samples = [_sample(name, stats[key], project=project) for project, stats in all_stats]
        yield _family(name, kind, about, samples)
    refused = [
        _sample("requests_refused_total", count, project=project, reason=reason)
        for project, stats in all_stats
        for reason, count in sorted(stats["refused"].items())
    ]
    yield _family("requests_refused_total", "counter", "Export requests that were not taken, by reason.", refused)
    trouble = [_sample("trouble", int(bool(stats["trouble"])), project=project) for project, stats in all_stats]
    yield _family("trouble", "gauge", "1 while ClickHouse or the log's disk refuses; /readyz says why.", trouble)
    for name, key, about in _HISTOGRAMS:
        samples = []
        for one in watched:
            samples += _buckets(name, one.project, getattr(one.collector.timings, key))
        yield _family(name, "histogram", about, samples)
    more = [(one.project, one.gauges()) for one in watched]
    for name, about in _GAUGES.items():
        samples = [_sample(name, gauges[name], project=project) for project, gauges in more if name in gauges]
        yield _family(name, "gauge", about, samples)


def _buckets(name: str, project: str, histogram: Histogram) -> list[str]:
    spread = histogram.spread()
    return [
        *(_sample(f"{name}_bucket", count, project=project, le=_number(bound)) for bound, count in spread.buckets),
        _sample(f"{name}_bucket", spread.count, project=project, le="+Inf"),
        _sample(f"{name}_sum", spread.total, project=project),
        _sample(f"{name}_count", spread.count, project=project),
    ]


def _door(watch: Watch) -> Iterator[list[str]]:
    name = "door_refused_total"
    samples = [_sample(name, count, reason=reason) for reason, count in sorted(watch.refused().items())]
    yield _family(name, "counter", "Requests turned away before anybody looked into them, by reason.", samples)


def _process(watch: Watch) -> Iterator[list[str]]:
    build = _sample("build_info", 1, version=__version__, python=platform.python_version())
    yield _family("build_info", "gauge", "The version that runs.", [build])
    if watch.folder is not None:
        with suppress(OSError):
            disk = shutil.disk_usage(watch.folder)
            for what, size in (("free", disk.free), ("size", disk.total)):
                name = f"disk_{what}_bytes"
                yield _family(name, "gauge", f"The disk of the data folder, {what}.", [_sample(name, size)])
    used = resource.getrusage(resource.RUSAGE_SELF)
    own = {
        "process_cpu_seconds_total": used.ru_utime + used.ru_stime,
        "process_start_time_seconds": _STARTED,
        "process_max_fds": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        **_from_proc(),
    }
    for name, value in own.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        yield [f"# HELP {name} Of this process.", f"# TYPE {name} {kind}", f"{name} {_number(value)}"]


def _from_proc() -> dict[str, float]:
    """What only Linux tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return {
            "process_resident_memory_bytes": pages * os.sysconf("SC_PAGE_SIZE"),
            "process_open_fds": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        }
    except (OSError, ValueError, IndexError):
        return {}


def _family(name: str, kind: str, about: str, samples: list[str]) -> list[str]:
    return [f"# HELP driftline_{name} {about}", f"# TYPE driftline_{name} {kind}", *samples]


def _sample(name: str, value: float, **labels: str) -> str:
    said = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"driftline_{name}{f'{{{said}}}' if said else ''} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
