"""How fast spans become queryable through the collector, against what the engine itself can do with the same bytes.

    python bench/ingest.py [--quick] [--no-rivals] [--rivals-in FOLDER] [--soak SPANS]

Requests of 512 spans of an agent program (12 attributes, events, links, arrays) go over HTTP to a collector in a
process of its own: parsed, checked, written to the log and synced, answered, decoded by ClickHouse into its four
tables. The clock stops when the last span can be queried. The engine's own limit is one INSERT of the same bytes from
a file through the same views, in the same run, in a fresh process on a fresh store. Rates depend on the machine
(senders and collector share it), their ratio hardly. A warm-up of both is not counted. Other servers (rivals.py) get
the first of the same requests over the same senders; each is then killed right after it has acknowledged some more, and
what it had acknowledged is counted after a new start.

`--soak` sends so many spans instead and watches the memory of the collector's process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load import SPANS, requests
from rivals import RIVALS, NotHere, Rival, Running, installed
from soak import soak

SENDERS = 4
WARM_UP = 4  # requests
TABLES = ("otel_traces", "steps", "memory_ops", "run_parts")


@dataclass(frozen=True)
class Figures:
    """What one way of ingesting gave."""

    spans_per_second: float
    bytes_per_span: float
    latencies: tuple[float, ...] = ()  # seconds, one a request
    lag: float = 0.0  # seconds from the last answer until everything could be queried
    alone: float = 0.0  # the same, for one request that comes alone
    bytes_unmerged: float = 0.0  # bytes a span as it lies, before all parts are merged to one


RIVAL_REQUESTS = 6  # of which the first warms up: slow servers shall not take all day
KILLED_AFTER = 2  # requests


# -- the two ways


def through_the_collector(bodies: list[bytes]) -> Figures:
    """Over HTTP, from the first request until everything can be queried."""
    with tempfile.TemporaryDirectory() as folder, _child("--serve", folder) as child:
        port = int(child.stdout.readline())
        _send(port, bodies[:WARM_UP])
        _stored(port, WARM_UP * SPANS)
        _send(port, bodies[WARM_UP : WARM_UP + 1])
        answered = time.perf_counter()
        _stored(port, (WARM_UP + 1) * SPANS)
        alone = time.perf_counter() - answered
        rest = bodies[WARM_UP + 1 :]
        began = time.perf_counter()
        latencies = _send(port, rest)
        answered = time.perf_counter()
        _stored(port, len(bodies) * SPANS)
        ended = time.perf_counter()
        child.stdin.close()
        said = json.loads(child.stdout.readline())
    assert said["spans"] == len(bodies) * SPANS
    rate = len(rest) * SPANS / (ended - began)
    return Figures(
        rate, said["bytes"] / said["spans"], tuple(latencies), ended - answered, alone, said["unmerged"] / said["spans"]
    )


def by_the_engine(bodies: list[bytes]) -> Figures:
    """One INSERT from a file through the same views."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requests.pb"
        file.write_bytes(b"".join(_framed(body) for body in bodies))
        with _child("--insert", folder) as child:
            said = json.loads(child.stdout.readline())
    return Figures(said["spans"] / said["seconds"], said["bytes"] / said["spans"])


def through(rival: Rival, environment: Path, bodies: list[bytes]) -> tuple[Figures, str]:
    """Over HTTP to another server, from the first request until everything can be read; and what a kill costs there.

    Raises:
        NotHere: it does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = Running(rival, environment, Path(folder))
        try:
            _send(server.port, bodies[:1], rival.headers)
            server.wait_for(SPANS)
            rest = bodies[1:RIVAL_REQUESTS]
            began = time.perf_counter()
            latencies = _send(server.port, rest, rival.headers)
            answered = time.perf_counter()
            stored = server.wait_for(SPANS * (1 + len(rest)))
            ended = time.perf_counter()
            size = server.size / max(1, stored)
            more = bodies[RIVAL_REQUESTS : RIVAL_REQUESTS + KILLED_AFTER]
            _send(server.port, more, rival.headers)
        finally:
            server.end()
        server = Running(rival, environment, Path(folder))
        try:
            time.sleep(5)
            found = server.spans()
        finally:
            server.end()
    sent = SPANS * (1 + len(rest) + len(more))
    lost = f"{sent - found:,} of {SPANS * len(more):,} spans lost by a kill right after their acknowledgement"
    if stored < SPANS * (1 + len(rest)):
        lost += f"; {SPANS * (1 + len(rest)) - stored:,} never came to be stored"
    rate = (stored - SPANS) / (ended - began)
    return Figures(rate, size, tuple(latencies), ended - answered), lost


def killed(bodies: list[bytes]) -> str:
    """The same for our collector: killed right after the answer, started again."""
    with tempfile.TemporaryDirectory() as folder:
        with _child("--serve", folder) as child:
            _send(int(child.stdout.readline()), bodies[:KILLED_AFTER])
        with _child("--serve", folder) as child:
            port = int(child.stdout.readline())
            _stored(port, 0)
            child.stdin.close()
            said = json.loads(child.stdout.readline())
    sent = SPANS * KILLED_AFTER
    return f"{sent - said['spans']:,} of {sent:,} spans lost by a kill right after their acknowledgement"


def _send(port: int, bodies: list[bytes], headers: Mapping[str, str] | None = None) -> list[float]:
    """Post all, by several senders; the time each answer took."""
    waiting, latencies, lock = list(reversed(bodies)), [], threading.Lock()

    def sender() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        said = {"Content-Type": "application/x-protobuf", **(headers or {})}
        while True:
            with lock:
                if not waiting:
                    return
                body = waiting.pop()
            began = time.perf_counter()
            connection.request("POST", "/v1/traces", body, said)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            latencies.append(time.perf_counter() - began)

    threads = [threading.Thread(target=sender) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(latencies) == len(bodies)
    return latencies


def _stored(port: int, spans: int) -> None:
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            if json.load(answer)["stored"] >= spans:
                return
        time.sleep(0.02)


@contextmanager
def _child(*arguments: str) -> Iterator[Any]:
    command = [sys.executable, __file__, *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


# -- the processes behind them


def serve(folder: str) -> None:
    """A collector alone, until standard input ends; then what lies on disk."""
    import uvicorn

    from driftline.analyzers import install_views
    from driftline.collector import Collector, create_receiver
    from driftline.collector.store import open_store

    with open_store(folder) as store:
        install_views(store)
        collector = Collector(store, folder)
        collector.start()
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_receiver(collector), log_level="warning"))
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
        while not server.started:
            time.sleep(0.01)
        print(listener.getsockname()[1], flush=True)
        sys.stdin.read()
        collector.stop()
        print(json.dumps(_on_disk(store)), flush=True)


def insert(folder: str) -> None:
    """The file in *folder*, inserted at once; a warm-up before it."""
    from driftline.analyzers import install_views
    from driftline.collector.store import open_store

    with open_store(folder) as store:
        install_views(store)
        store.insert_requests(b"".join(_framed(body) for body in requests(WARM_UP, seed=2)), "warm-up")
        for table in TABLES:
            store.command(f"TRUNCATE TABLE {table}")
        batch = (Path(folder) / "requests.pb").read_bytes()
        began = time.perf_counter()
        store.insert_requests(batch, "all")
        seconds = time.perf_counter() - began
        print(json.dumps({**_on_disk(store), "seconds": seconds}), flush=True)


def _on_disk(store: Any) -> dict[str, int]:
    """Spans, and the bytes of all tables that they lie in: as they are, and merged."""
    unmerged = _bytes(store)
    for table in TABLES:
        store.command(f"OPTIMIZE TABLE {table} FINAL")
    return {"spans": store.value("SELECT count() FROM otel_traces"), "bytes": _bytes(store), "unmerged": unmerged}


def _bytes(store: Any) -> int:
    return int(
        store.value(
            "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() "
            "AND table IN {tables:Array(String)}",
            {"tables": list(TABLES)},
        )
    )


def _framed(body: bytes) -> bytes:
    from driftline.collector.otlp import framed

    return framed(body)


# -- what is printed


def show(name: str, found: Figures, limit: Figures, ours: Figures | None = None) -> None:
    """One line of the table; the last column is how many times faster we are."""
    ratio = found.spans_per_second / limit.spans_per_second
    latency, lag = f"{'':>17}", f"{'':>9}"
    if found.latencies:
        ordered = sorted(found.latencies)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        latency = f"{statistics.median(ordered) * 1000:>8.1f}{p99 * 1000:>9.1f}"
        lag = f"{found.lag * 1000:>9.0f}"
    times = f"{ours.spans_per_second / found.spans_per_second:>8,.0f}x" if ours else ""
    print(f"{name:<26}{found.spans_per_second:>10,.0f}{ratio:>9.3f}{found.bytes_per_span:>9.0f}{latency}{lag}{times}")


def compare(bodies: list[bytes], limit: Figures, ours: Figures, kept: str | None) -> None:
    """The lines of the rivals, and of what a kill costs."""
    lines = [("driftline", killed(bodies))]
    for rival in RIVALS:
        try:
            with installed(rival, kept) as environment:
                found, lost = through(rival, environment, bodies)
        except NotHere as why:
            lines.append((rival.name, f"left out: {why}"))
            continue
        show(rival.name, found, limit, ours)
        lines.append((rival.name, lost))
    for name, said in lines:
        print(f"{name:<26}{said}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="20,000 spans instead of 500,000: coarse figures")
    parser.add_argument("--no-rivals", action="store_true", help="leave the other servers out")
    parser.add_argument("--rivals-in", metavar="FOLDER", help="keep their environments here for the next time")
    parser.add_argument("--soak", metavar="SPANS", type=int, help="send so many, and watch the collector's memory")
    parser.add_argument("--serve", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--insert", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    if options.insert:
        insert(options.insert)
        return
    if options.soak:
        soak(options.soak, requests(64), SPANS, serve_command())
        return
    bodies = requests(WARM_UP + (40 if options.quick else 1000))
    size = sum(map(len, bodies)) / len(bodies) / SPANS
    print(f"{_machine()}; Python {platform.python_version()}; {os.cpu_count()} cores for senders and server")
    print(f"{len(bodies)} requests of {SPANS} spans, {size:.0f} bytes a span on the wire; {SENDERS} senders")
    limit = by_the_engine(bodies)
    print(f"{'':<26}{'spans/s':>10}{'ratio':>9}{'B/span':>9}{'p50 ms':>8}{'p99 ms':>9}{'lag ms':>9}{'ours':>9}")
    show("the engine's own limit", limit, limit)
    ours = through_the_collector(bodies)
    show("driftline", ours, limit)
    print(f"{'':<26}a request alone can be queried {ours.alone * 1000:.0f} ms after its answer; ", end="")
    print(f"{ours.bytes_unmerged:.0f} bytes a span before merges are done")
    if not options.no_rivals:
        compare(bodies, limit, ours, options.rivals_in)


def _machine() -> str:
    """What this runs on."""
    try:
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = next(line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return f"{platform.system()} {platform.machine()}, {model}"


def serve_command() -> list[str]:
    """How this file is started as a collector; a folder is to follow."""
    return [sys.executable, __file__, "--serve"]


if __name__ == "__main__":
    main()
