"""Takes imported requests where they belong: a file, the store, or the server that has the store open."""

from __future__ import annotations

import gzip
import hashlib
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from driftline.cli.context import Server, is_url, prepare_folder, running_server
from driftline.cli.importers.otlp import json_line
from driftline.collector.nested import flatten_nested
from driftline.collector.otlp import PROTOBUF, framed
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.analyzers import Config, Report
    from driftline.collector.store import Store

Progress = Callable[[str, int, int], None]

_BATCH_BYTES = 4 * 2**20
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between tries at a server that says "later"


class NotDelivered(DriftlineError):
    """The spans could not be handed over; the message says to whom and why."""


@dataclass(frozen=True)
class Delivered:
    """What became of an import: how many traces and spans, where they went, and the verdict, if it was given here."""

    traces: int
    spans: int
    where: str
    server: Server | None = None
    report: Report | None = None


def write_file(requests: Sequence[ExportTraceServiceRequest], name: str) -> Delivered:
    """Write the requests as OTLP/JSON, one a line, as `driftline check` reads them; `-` is standard output.

    Raises:
        NotDelivered: the file cannot be written.
    """
    data = "".join(json_line(request) + "\n" for request in requests).encode()
    try:
        if name == "-":
            sys.stdout.buffer.write(data)
        else:
            Path(name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    except OSError as error:
        raise NotDelivered(f"{name} cannot be written: {error.strerror}", "check the path") from error
    return Delivered(len(_traces(requests)), _spans(requests), "standard output" if name == "-" else name)


def deliver(
    requests: Sequence[ExportTraceServiceRequest], data: str, config: Config, say: Progress, project: str = "default"
) -> Delivered:
    """Store the requests in a project of *data* and judge their runs; a server that has it open does both itself.

    Raises:
        NotDelivered: the server did not take them.
        UnusableFolder, StoreInUse, StoreUnreachable: the store cannot be opened.
    """
    server = None if is_url(data) else running_server(data)
    if server:
        _send(requests, server, project, say)
        return Delivered(len(_traces(requests)), _spans(requests), server.otlp, server)
    from driftline.analyzers import install_views
    from driftline.collector.store import open_store

    if not is_url(data):
        prepare_folder(Path(data).expanduser())
        _expect_project(Path(data).expanduser(), project)
    told = None
    if config.redact is not None and not is_url(data):
        from driftline.collector.redaction import wanted

        told = wanted(config.redact, Path(data).expanduser())
    store = open_store(data, project=project, redaction=told)
    try:
        install_views(store)
        _insert(requests, store, say)
        report = _judge(requests, store, config, say)
    finally:
        store.close()
    return Delivered(len(_traces(requests)), _spans(requests), data, report=report)


def _expect_project(folder: Path, project: str) -> None:
    from driftline.collector.access import AccessFile, NoSuchProject

    if project not in AccessFile(folder).read().every_project:
        raise NoSuchProject(f"there is no project {project}", f"create it with `driftline projects create {project}`")


def _insert(requests: Sequence[ExportTraceServiceRequest], store: Store, say: Progress) -> None:
    """Insert in batches; a batch's identity is its content, so a file imported again adds nothing."""
    done = 0
    for batch in _batches(requests):
        for request in batch:
            flatten_nested(request)
        payload = b"".join(framed(request.SerializeToString()) for request in batch)
        store.insert_requests(payload, hashlib.sha256(payload).hexdigest())
        done += len(batch)
        say("storing", done, len(requests))


def _judge(requests: Sequence[ExportTraceServiceRequest], store: Store, config: Config, say: Progress) -> Report:
    from driftline.analyzers import Scope, analyse, persist

    report = analyse(store, Scope(traces=tuple(_traces(requests))), config, say)
    persist(store, report)
    return report


def _send(requests: Sequence[ExportTraceServiceRequest], server: Server, project: str, say: Progress) -> None:
    done = 0
    for batch in _batches(requests):
        whole = ExportTraceServiceRequest(resource_spans=[group for one in batch for group in one.resource_spans])
        _post(server, project, whole.SerializeToString())
        done += len(batch)
        say("sending", done, len(requests))


def _post(server: Server, project: str, body: bytes) -> None:
    """Hand one request to the receiver, again while it says that it has no room now."""
    url = f"{server.otlp}/v1/traces"
    headers = {"Content-Type": PROTOBUF, "Authorization": f"Bearer {server.key(project)}"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - our own server's address
    # The certificate names the machine as others call it; this is the machine itself.
    trust = ssl._create_unverified_context() if url.startswith("https:") else None  # noqa: S323
    for wait in (*_WAITS, None):
        try:
            with urllib.request.urlopen(request, timeout=60, context=trust):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            if error.code not in (429, 502, 503, 504) or wait is None:
                raise NotDelivered(f"{url} answered {error.code} {error.reason}", "see the server's output") from error
        except OSError as error:
            raise NotDelivered(f"{url} did not answer: {error}", "does the server still run?") from error
        time.sleep(wait)


def _batches(requests: Sequence[ExportTraceServiceRequest]) -> Iterator[list[ExportTraceServiceRequest]]:
    batch: list[ExportTraceServiceRequest] = []
    size = 0
    for request in requests:
        length = request.ByteSize()
        if batch and size + length > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(request)
        size += length
    if batch:
        yield batch


def _traces(requests: Sequence[ExportTraceServiceRequest]) -> list[str]:
    return sorted({span.trace_id.hex() for span in _each(requests)})


def _spans(requests: Sequence[ExportTraceServiceRequest]) -> int:
    return sum(1 for _ in _each(requests))


def _each(requests: Sequence[ExportTraceServiceRequest]) -> Iterator[Span]:
    for request in requests:
        for group in request.resource_spans:
            for scoped in group.scope_spans:
                yield from scoped.spans
