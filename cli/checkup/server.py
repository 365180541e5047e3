"""The server that runs on a folder: what ails it, and whom it turned away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from driftline.cli.checkup import Observation
from driftline.cli.context import Server
from driftline.errors import DriftlineError

_OLD = 60.0  # seconds that a request may wait in the log before it is worth a word

# What a refusal means to whoever configured the sender.
_MENDS = {
    "UnreadableBody": "what comes is no OTLP: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, and port 4318 for HTTP",
    "UnsupportedEncoding": "use gzip, deflate, zstd or no compression, and OTLP as protobuf or JSON",
    "BodyTooLarge": "send smaller batches: OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "WrongPlace": "the endpoint is a base address: OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318, without a path",
    "log full": "the log is at its limit: is ClickHouse reachable and quick enough?",
    "disk": "see to the disk of the data folder",
    "overload": "more arrives than the disk takes: send larger batches, or use a quicker disk",
    "KeyNeeded": "give the sender a key: OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20KEY",
    "KeyLacksRight": "give the sender a key of its project that may write: `driftline keys create`",
    "QuotaSpent": "the key sends more than it may: `driftline keys list` shows its limits",
    "UnknownHost": "tell `driftline up` the name by which it is called: --allow-host",
    "DoorStuck": "mend the file of keys, see above",
}


def look(server: Server, folder: Path) -> Iterator[Observation]:
    """What it says of itself."""
    from driftline.collector.control import ask, socket_of

    yield Observation("ok", f"server runs (pid {server.pid}): {server.web}")
    try:
        said = ask(socket_of(folder), "status", {}, lambda _: None)
    except DriftlineError as error:
        yield Observation("bad", error.what, "restart `driftline up`; commands that change the store need this socket")
        return
    for project, stats in said["projects"].items():
        yield from _project(project, stats)
    yield from _refused("", said["refused"])


def _project(project: str, stats: Mapping[str, Any]) -> Iterator[Observation]:
    name = "" if project == "default" else f"project {project}: "
    if stats["trouble"]:
        yield Observation("bad", f"{name}{stats['trouble']}", "nothing is lost meanwhile; mend ClickHouse or its disk")
    if stats["oldest_unstored"] > _OLD:
        yield Observation(
            "bad",
            f"{name}the oldest request in the log has waited for {stats['oldest_unstored']:.0f} s",
            "is ClickHouse reachable and quick enough?",
        )
    if stats["lost"]:
        yield Observation(
            "bad", f"{name}{stats['lost']:,} spans were lost: their part of the log was deleted", "leave log/ alone"
        )
    if stats["rejected"]:
        yield Observation(
            "note",
            f"{name}{stats['rejected']:,} spans without a valid trace or span id were left out",
            "see what the exporter reports as partial success",
        )
    yield from _refused(name, stats["refused"])


def _refused(name: str, refused: Mapping[str, int]) -> Iterator[Observation]:
    for reason, count in sorted(refused.items()):
        if count and not reason.startswith("quota"):  # the door counts these, too
            yield Observation(
                "note",
                f"{name}{count:,} requests were refused since the server began: {reason}",
                _MENDS.get(reason, "see docs/collector.md, Answers"),
            )
