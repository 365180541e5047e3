"""Many spans through one collector, for `bench/ingest.py --soak`: does its memory grow with what it has taken?

The same requests are sent again and again with other trace ids, patched into their bytes, so that all spans are new.
The memory of the collector's process is read while they come; the slope over the second half is what would be a leak.
"""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

_EVERY = 200  # requests between two looks


def soak(spans: int, bodies: list[bytes], each: int, command: list[str]) -> None:
    """Send *spans* by requests of *each* made from *bodies*, to what *command* FOLDER starts; print what it held."""
    traces = [_trace_ids(body) for body in bodies]
    chance = random.Random(7)
    seen: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        child = subprocess.Popen([*command, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None and child.stdin is not None
        try:
            port = int(child.stdout.readline())
            connection = http.client.HTTPConnection("127.0.0.1", port)
            for number in range(-(-spans // each)):
                body = bodies[number % len(bodies)]
                for trace in traces[number % len(bodies)]:
                    body = body.replace(trace, chance.randbytes(16))
                while not _taken(connection, body):
                    time.sleep(2)
                if number % _EVERY == 0:
                    seen.append((number * each, _resident(child.pid)))
                    if len(seen) % 10 == 1:
                        minutes = (time.monotonic() - began) / 60
                        print(f"{seen[-1][0]:>12,} spans{seen[-1][1]:>10,.0f} MiB{minutes:>8.1f} min", flush=True)
            _wait(port, -(-spans // each) * each)
            seen.append((spans, _resident(child.pid)))
            child.stdin.close()
            said = json.loads(child.stdout.readline())
        finally:
            child.kill()
            child.wait()
    later = [pair for pair in seen if pair[0] >= spans / 2]
    print(f"{said['spans']:,} spans stored, {said['bytes'] / said['spans']:.0f} bytes a span on disk")
    print(
        f"most resident {max(size for _, size in seen):,.0f} MiB; second half: {_slope(later):+.2f} MiB a million spans"
    )


def _taken(connection: http.client.HTTPConnection, body: bytes) -> bool:
    connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status in (200, 503), answer.status
    return answer.status == 200


def _trace_ids(body: bytes) -> set[bytes]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    groups = ExportTraceServiceRequest.FromString(body).resource_spans
    return {span.trace_id for group in groups for scoped in group.scope_spans for span in scoped.spans}


def _resident(process: int) -> float:
    """MiB of memory that *process* holds, with what it maps of files (its programs, mostly)."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def _wait(port: int, spans: int) -> None:
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            if json.load(answer)["stored"] >= spans:
                return
        time.sleep(0.5)


def _slope(points: list[tuple[int, float]]) -> float:
    """MiB a million spans, by least squares."""
    middle = sum(x for x, _ in points) / len(points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    return sum((x - middle) * y for x, y in points) / spread * 1e6 if spread else 0.0
