"""The receiver under a fuzzer that watches which lines an input reaches (atheris, libFuzzer).

    python tests/support/fuzzing.py CORPUS [libFuzzer's options: -max_total_time=600 -runs=10000 -seed=1 …]
    python tests/support/fuzzing.py --store CORPUS

An input is two bytes that choose signal, content type and content encoding, and a body. The first form looks for one
that is answered with anything but 200 or a refusal of OTLP's, or that is taken and not in a form which the store can
read. The second stores what was found interesting with the real engine, which must refuse none of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import random
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import zstandard

if "--store" not in sys.argv and __name__ == "__main__":
    import atheris

    watched: Any = atheris.instrument_imports(include=["driftline.collector", "google.protobuf.json_format"])
else:
    watched = contextlib.nullcontext()

with watched:
    import driftline.collector.app
    import driftline.collector.collector
    import driftline.collector.nested
    from driftline.collector import otlp
    from driftline.collector.wire_search import may_hold_nested

from fake_store import FakeStore
from fuzzing_mutations import changed_json, changed_protobuf
from google.rpc.status_pb2 import Status

LIMIT = 2**20
KINDS = (otlp.PROTOBUF, otlp.JSON, "application/json; charset=utf-8", "text/plain", "")
PACK = zstandard.ZstdCompressor(write_checksum=True)
ENCODINGS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("", bytes), ("gzip", bytes), ("deflate", bytes), ("zstd", bytes), ("br", bytes), ("gzip, gzip", bytes),
    ("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", PACK.compress),
)  # fmt: skip
SIGNALS = tuple(otlp.SIGNALS.values())


class Unwritten(driftline.collector.collector.Collector):
    """A collector that remembers instead of writing down."""

    def __init__(self, folder: str) -> None:
        super().__init__(FakeStore(), folder)
        self.written: list[tuple[bytes, int, str]] = []

    def submit(self, request: bytes, items: int, signal: str = "traces") -> None:
        """Remember."""
        self.written.append((request, items, signal))


class Target:
    """What the fuzzer calls."""

    def __init__(self, folder: str) -> None:
        self._collector = Unwritten(folder)
        self._app = driftline.collector.app.create_receiver(self._collector, max_body=LIMIT)
        self._loop = asyncio.new_event_loop()

    def __call__(self, data: bytes) -> None:
        """Send one input; raises what it finds."""
        signal, kind, encoding, body = choices(data)
        self._collector.written.clear()
        status, headers, answer = self._loop.run_until_complete(self._post(signal.path, kind, encoding, body))
        assert status in (200, 400, 413, 415), f"answered with {status}: {answer!r}"
        expected = otlp.PROTOBUF if otlp.media_type(kind) == otlp.PROTOBUF else otlp.JSON
        assert headers[b"content-type"].decode() == expected, headers
        told = json.loads(answer) if expected == otlp.JSON else None
        if status == 200 and told is None:
            signal.response.FromString(answer)
        elif status != 200:
            code = told["code"] if told else Status.FromString(answer).code
            assert code in (otlp.INVALID_ARGUMENT, otlp.RESOURCE_EXHAUSTED), answer
        assert len(self._collector.written) <= (status == 200)
        for request, items, _ in list(self._collector.written):
            self._look(request, items, signal)

    def _look(self, request: bytes, items: int, signal: otlp.Signal) -> None:
        """What was written down is taken as it is when it comes again: nothing is left to mend or to leave out."""
        self._collector.written.clear()
        again = self._collector.receive(request, otlp.PROTOBUF, signal.name)
        assert (again.items, again.rejected) == (items, 0)
        assert self._collector.written == [(request, items, signal.name)]
        assert not may_hold_nested(request) or not driftline.collector.nested.flatten_nested(again.request)

    async def _post(self, path: str, kind: str, encoding: str, body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        """The answer of the app."""
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", kind.encode()), (b"content-encoding", encoding.encode())]
        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "",
        }  # fmt: skip
        await self._app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], dict(sent[0]["headers"]), body


def choices(data: bytes) -> tuple[otlp.Signal, str, str, bytes]:
    """What an input asks for: signal, content type, content encoding, and the body in it."""
    first, second, body = data[:1] or b"\0", data[1:2] or b"\0", data[2:]
    encoding, pack = ENCODINGS[second[0] % len(ENCODINGS)]
    return SIGNALS[first[0] % 3], KINDS[first[0] // 3 % len(KINDS)], encoding, pack(body)


def seeds() -> Iterator[bytes]:
    """Where the fuzzer begins: whole requests of each signal in both forms, plain and to be packed."""
    from fuzzing_seeds import bodies

    for signal, kind, body in bodies():
        first = SIGNALS.index(otlp.SIGNALS[signal]) + 3 * KINDS.index(kind)
        for second in (0, 1, 2, 3, 6, 7, 8):
            packed = {1: gzip.compress, 2: zlib.compress, 3: PACK.compress}.get(second, bytes)(body)
            yield bytes([first, second]) + packed


def mutated(data: bytes, room: int, seed: int) -> bytes:
    """An input changed so that it often stays readable; every fourth as libFuzzer does it."""
    chance = random.Random(seed)
    if not chance.randrange(4) or len(data) < 3:
        return bytes(atheris.Mutate(data, room))
    change = changed_json if b"json" in kind_of(data) else changed_protobuf
    head, body = data[:2], data[2:]
    for _ in range(chance.randrange(1, 4)):
        body = change(body, chance)
    return (head + body)[:room]


def store(inputs: Iterable[bytes], collector: driftline.collector.Collector) -> int:
    """Give every input to a collector with a real store; how many spans and log records were taken."""
    taken = 0
    for data in inputs:
        signal, kind, encoding, body = choices(data)
        with contextlib.suppress(otlp.RefusedRequest):
            taken += collector.receive(otlp.decompress(body, encoding, LIMIT), kind, signal.name).items
    return taken


def changed(count: int, seed: int) -> Iterator[bytes]:
    """Inputs in which so much is changed that they are new, and so little that most are taken."""
    chance, begun = random.Random(seed), list(seeds())
    for _ in range(count):
        data = chance.choice(begun)
        for _ in range(chance.randrange(1, 6)):
            data = data[:2] + (changed_json if b"json" in kind_of(data) else changed_protobuf)(data[2:], chance)
        yield data


def kind_of(data: bytes) -> bytes:
    """The content type of an input."""
    return choices(data)[1].encode()


def _store(corpus: Path) -> int:
    from shared_store import fresh_store

    found = [file.read_bytes() for file in sorted(corpus.iterdir())]
    with tempfile.TemporaryDirectory() as folder:
        collector = driftline.collector.Collector(fresh_store(), folder)
        collector.start()
        taken = store([*found, *changed(10_000, random.randrange(2**32))], collector)
        whole = collector.flush(600)
        stats = collector.stats()
        collector.stop()
    known = ", ".join(f"{name} {stats[name]}" for name in ("repeated", "acknowledged", "stored", "dead_letters"))
    print(f"{taken} spans and records taken; {known}")
    return 0 if whole and taken and stats["acknowledged"] == stats["stored"] and not stats["dead_letters"] else 1


def _fuzz(corpus: Path, options: list[str]) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    words = Path(__file__).with_name("fuzzing.dict")
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            sys.argv[0],
            f"-dict={words}",
            "-max_len=8192",
            "-timeout=20",
            "-keep_seed=1",
            "-reduce_inputs=0",
            f"-artifact_prefix={corpus}-",
        ]
        atheris.Setup([*arguments, *options, str(corpus)], Target(folder), custom_mutator=mutated)
        atheris.Fuzz()


if __name__ == "__main__":
    given = [word for word in sys.argv[1:] if word != "--store"]
    if "--store" in sys.argv:
        sys.exit(_store(Path(given[0])))
    _fuzz(Path(given[0]), given[1:])
