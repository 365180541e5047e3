"""Servers killed at random moments under load, and the count afterwards.

    python tests/support/crashing.py [KILLS] [SEED]

Senders behave as exporters do: a request that was not acknowledged is sent again, the same bytes, to the next process.
So every span of every request must be in the end in each table behind the inbox exactly once: counted as rows on disk,
without FINAL, which would hide a second copy. Run as a program it prints what was killed and what was found, and ends
with 1 if a span or a log record is lost, a row is there twice, or a start was not clean.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from command import Up, begin, free_ports
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_requests import request, span

from driftline.collector.store import open_store

SENDERS = 4
TABLES = {
    "traces": (("otel_traces", "SpanId"), ("steps", "span_id"), ("memory_ops", "span_id")),
    "logs": (("otel_logs", "SpanId"),),
}
_MEMORY = {"gen_ai.operation.name": "read_memory", "gen_ai.memory.store.id": "notes", "driftline.memory.keys": ["a"]}
_HINDERED = Path(__file__).with_name("hindered_server.py")


@dataclass
class Tally:
    """What a harness has to say."""

    kills: Counter[str] = field(default_factory=Counter)  # by what was under way
    acknowledged: int = 0
    found: int = 0
    lost: int = 0
    duplicated: int = 0
    unclean: list[str] = field(default_factory=list)  # what starts printed that they should not have

    @property
    def total(self) -> int:
        """How many kills."""
        return sum(self.kills.values())

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.duplicated or self.unclean) and self.acknowledged > 0

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kills.items())
        return (
            f"kills {self.total} ({kinds}); spans and log records acknowledged {self.acknowledged:,}, "
            f"found {self.found:,}, lost {self.lost}, rows twice {self.duplicated}; unclean starts {len(self.unclean)}"
        )


class Senders:
    """Exporters: each keeps a request until it is acknowledged, whoever runs at the address then."""

    def __init__(self, seed: int) -> None:
        self.acknowledged: dict[str, set[str]] = {"traces": set(), "logs": set()}
        self._address = ""
        self._ended = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(seed + n),), daemon=True) for n in range(SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def aim(self, address: str) -> None:
        """Send there; '' for nowhere."""
        with self._changed:
            self._address = address
            self._changed.notify_all()

    def end(self) -> None:
        """Send no more than what is under way, until it is acknowledged."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a sender does not get its last request acknowledged"

    def _run(self, chance: random.Random) -> None:
        while not self._ended:
            numbers = [os.urandom(8) for _ in range(chance.choice((1, 5, 5, 40)))]
            signal = chance.choice(("traces", "traces", "traces", "logs"))
            self._deliver((_logs if signal == "logs" else _spans)(numbers), signal)
            with self._changed:
                self.acknowledged[signal].update(number.hex() for number in numbers)

    def _deliver(self, body: bytes, signal: str) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._address, 120)
                address = self._address
            post = urllib.request.Request(f"{address}/v1/{signal}", body, {"Content-Type": "application/x-protobuf"})
            try:
                with urllib.request.urlopen(post, timeout=30) as answer:
                    assert answer.status == 200
                return
            except (urllib.error.URLError, OSError, EOFError):
                time.sleep(0.05)


class Crashing:
    """Kills servers on one folder; `finish` counts."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.tally = Tally()
        self._folder = folder
        self._chance = random.Random(seed)
        self._senders = Senders(seed)

    def under_load(self) -> None:
        """Kill a server some moment after it began to take requests."""
        self._kill(Up(self._folder), "under load")

    def while_merging(self) -> None:
        """The same, with merges of all tables under way, views that will have to be installed anew, and a log that is
        slow to forget what was inserted."""
        self._kill(Up(self._folder, command=(sys.executable, str(_HINDERED))), "while merging")

    def while_starting(self) -> None:
        """Kill it before it has begun: views are installed, the log is read."""
        process = begin("up", "--data", self._folder, "--format", "json", *_any_ports())
        self._end(process, self._chance.uniform(0.2, 2.0), "while starting")

    def in_first_start(self) -> None:
        """Kill the first two starts on a new folder, amid its migrations; the third must be clean, and work."""
        with tempfile.TemporaryDirectory(prefix="driftline-crash-") as name:
            for _ in range(2):
                process = begin("up", "--data", name, "--format", "json", *_any_ports())
                self._end(process, self._chance.uniform(0.3, 2.0), "in a first start")
            other = Crashing(Path(name), self._chance.randrange(2**32))
            other._senders.aim((up := Up(Path(name))).otlp)
            time.sleep(0.2)
            other._senders.end()
            other.tally = self.tally
            other._count(up)

    def finish(self) -> Tally:
        """Start once more, let everything arrive, and count."""
        up = Up(self._folder)
        self._senders.aim(up.otlp)
        self._senders.end()
        self._count(up)
        return self.tally

    def _kill(self, up: Up, kind: str) -> None:
        self._senders.aim(up.otlp)
        self._end(up.process, self._chance.uniform(0.0, 1.2), kind)

    def _end(self, process: subprocess.Popen[str], after: float, kind: str) -> None:
        time.sleep(after)
        process.kill()
        _, err = process.communicate(timeout=60)
        self._senders.aim("")
        self.tally.kills[kind] += 1
        self._look(err)

    def _look(self, err: str) -> None:
        if "Traceback" in err or "Fatal" in err or "Exception" in err:
            self.tally.unclean.append(err)

    def _count(self, up: Up) -> None:
        drained(up)
        with open_store(up.clickhouse, create=False) as store:
            for signal, acknowledged in self._senders.acknowledged.items():
                found: set[str] = set()
                for table, column in TABLES[signal]:
                    rows = store.rows(f"SELECT {column} AS id, count() AS copies FROM {table} GROUP BY id")
                    copies = {row["id"]: row["copies"] for row in rows}
                    found |= set(copies)
                    self.tally.lost += len(acknowledged - set(copies))
                    self.tally.duplicated += sum(count - 1 for count in copies.values())
                self.tally.acknowledged += len(acknowledged)
                self.tally.found += len(found)
        ended = up.stop()
        self._look(ended.err)
        if ended.code:
            self.tally.unclean.append(f"ended with {ended.code}: {ended.err}")


def crash(kills: int, seed: int, *, say: bool = False) -> Tally:
    """So many kills (one more at most) of servers on one folder and on new ones; what came of them."""
    with tempfile.TemporaryDirectory(prefix="driftline-crash-") as name:
        crashing = Crashing(Path(name), seed)
        load, merge, first = crashing.under_load, crashing.while_merging, crashing.in_first_start
        for one in itertools.cycle((load, merge, load, crashing.while_starting, load, first, load, merge, load)):
            if crashing.tally.total >= kills:
                return crashing.finish()
            one()
            if say:
                print(crashing.tally, flush=True)
        raise AssertionError("a cycle ended")


def _spans(numbers: list[bytes]) -> bytes:
    """A request of one span a number, each in a trace of its own."""
    spans = (span("read", _MEMORY, trace=os.urandom(16), number=number) for number in numbers)
    return request(*spans, scope="driftline").SerializeToString()


def _logs(numbers: list[bytes]) -> bytes:
    """A request of one log record a number, about spans that nobody sends."""
    found = ExportLogsServiceRequest()
    records = found.resource_logs.add().scope_logs.add().log_records
    for number in numbers:
        records.add(time_unix_nano=10**18, trace_id=os.urandom(16), span_id=number, severity_text="INFO")
    return found.SerializeToString()


def drained(up: Up) -> None:
    """Until the log is empty."""
    deadline = time.monotonic() + 120
    while True:
        with urllib.request.urlopen(f"{up.otlp}/readyz") as answer:
            if json.load(answer)["log_bytes"] == 0:
                return
        assert time.monotonic() < deadline, "the log does not drain"
        time.sleep(0.1)


def _any_ports() -> tuple[str, ...]:
    names = ("--otlp-port", "--web-port", "--clickhouse-port")
    return (*(word for pair in zip(names, map(str, free_ports(3)), strict=True) for word in pair), "--grpc-port", "0")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    kills, seed = (*given, *(200, secrets.randbelow(2**32))[len(given) :])
    print(f"seed {seed}")
    result = crash(kills, seed, say=True)
    print(result, *result.unclean, sep="\n")
    sys.exit(not result.clean)
