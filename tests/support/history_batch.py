"""Many histories judged as one record: each under names of its own, so that they share nothing but the engine call.

Run, process, host, store, queue, message, call and key of a history get a prefix; what is said of it loses it again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import history_renaming
from history_otlp import framed
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from shared_store import fresh_store

from driftline.analyzers import Config, analyse
from driftline.analyzers.finding import Finding

_NAMED = {
    "driftline.run.id", "driftline.run.parent_id", "driftline.agent.instance", "driftline.call.id",
    "driftline.effect.key", "driftline.effect.compensates", "driftline.effect.used", "gen_ai.conversation.id",
    "gen_ai.memory.store.id", "gen_ai.workflow.name", "messaging.destination.name", "messaging.message.id",
    "service.instance.id", "host.name",
}  # fmt: skip
_ACTING = {"first", "second", "third", "reader", "effect", "writer", "owner", "step", "run"}


@dataclass(frozen=True)
class Said:
    """A finding in the terms of its history: what is comparable between two tellings of it."""

    detector: str
    anomaly: str
    grade: str
    severity: str
    run: str
    subject: str
    title: str
    id: str
    spans: frozenset[tuple[str, int]]

    @property
    def definite(self) -> bool:
        """Whether it claims to hold whatever else happened."""
        return self.grade == "definite"

    @property
    def acting(self) -> frozenset[int]:
        """The spans whose doing it is about: what read, wrote or acted. Other roles are witnesses, which may change."""
        return frozenset(span for role, span in self.spans if role in _ACTING)

    def __str__(self) -> str:
        return f"{self.id} {self.grade} {self.detector}.{self.anomaly} {self.run} {self.subject}: {self.title}"


@dataclass
class Judged:
    """What is said of one history, and whether nothing of any of its runs is known to be missing."""

    said: list[Said] = field(default_factory=list)
    whole: bool = True


def judge_each(
    histories: Sequence[Iterable[ExportTraceServiceRequest]], config: Config | None = None, **how: Any
) -> list[Judged]:
    """What is said of each of *histories*, judged together."""
    store = fresh_store()
    batches: list[ExportTraceServiceRequest] = []
    owner: dict[str, tuple[int, str]] = {}
    for number, requests in enumerate(histories):
        batches.extend(apart(requests, prefix_of(number), owner, number))
    store.insert_requests(framed(batches), secrets.token_hex(16))
    report = analyse(store, config=config, **how)
    judged = [Judged() for _ in histories]
    for finding in report.findings:
        number, _trace = owner[finding.spans[0].trace_id]
        judged[number].said.append(_said(finding, prefix_of(number), owner))
    run_of = dict(report.trace_runs.select("run_id", "trace_id").iter_rows())
    for run, incomplete in report.runs.select("run_id", "incomplete").iter_rows():
        if incomplete and run in run_of:
            judged[owner[run_of[run]][0]].whole = False
    return judged


def prefix_of(number: int) -> str:
    """The names of history *number* begin with this: letters only, for a number counts as what changes run by run."""
    return "h" + "".join(chr(97 + int(digit)) for digit in str(number)) + "~"


def apart(
    requests: Iterable[ExportTraceServiceRequest], prefix: str, owner: dict[str, tuple[int, str]], number: int
) -> Iterable[ExportTraceServiceRequest]:
    """*requests* under names of their own; *owner* learns whose each trace is, and what it was called there."""
    for request in requests:
        renamed = renamed_request(request, lambda name: prefix + name)
        for group in renamed.resource_spans:
            for scope in group.scope_spans:
                for span in scope.spans:
                    trace = span.trace_id.hex()
                    span.trace_id = _other_id(span.trace_id, prefix)
                    owner[span.trace_id.hex()] = (number, trace)
                    for link in span.links:
                        link.trace_id = _other_id(link.trace_id, prefix)
        yield renamed


def renamed_request(request: ExportTraceServiceRequest, rename: Callable[[str], str]) -> ExportTraceServiceRequest:
    """A copy of *request* in which everything that has a name over runs has another one."""
    copy = ExportTraceServiceRequest()
    copy.CopyFrom(request)
    for group in copy.resource_spans:
        _rename(group.resource.attributes, rename)
        for scope in group.scope_spans:
            for span in scope.spans:
                _rename(span.attributes, rename)
    return copy


def _rename(attributes: Any, rename: Callable[[str], str]) -> None:
    for attribute in attributes:
        value = attribute.value
        if attribute.key in _NAMED:
            if value.HasField("array_value"):
                for element in value.array_value.values:
                    element.string_value = rename(element.string_value)
            elif value.string_value:
                value.string_value = rename(value.string_value)
        elif attribute.key in ("driftline.expects", "driftline.validation.targets"):
            for element in value.array_value.values:
                kind, colon, name = element.string_value.partition(":")
                if kind in ("send", "call"):
                    element.string_value = kind + colon + rename(name)
                elif not colon:
                    element.string_value = rename(kind)


def _other_id(trace_id: bytes, prefix: str) -> bytes:
    return hashlib.sha256(prefix.encode() + trace_id).digest()[:16]


def _said(finding: Finding, prefix: str, owner: dict[str, tuple[int, str]]) -> Said:
    def plain(text: str) -> str:
        return history_renaming.plain(text).replace(prefix, "")

    at_home = replace(
        finding, workflow=plain(finding.workflow), signature=tuple(plain(part) for part in finding.signature)
    )

    return Said(
        detector=finding.detector,
        anomaly=finding.anomaly,
        grade=finding.grade,
        severity=finding.severity,
        run=owner[finding.run_id][1] if finding.run_id in owner else plain(finding.run_id),
        subject=plain(finding.subject),
        title=plain(finding.title),
        id=at_home.id,
        spans=frozenset((span.role, int(span.span_id, 16)) for span in finding.spans),
    )
