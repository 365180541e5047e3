"""Tiny histories in one-line notation, turned into the OTLP that a program would have sent (docs/detectors/notation.md).

One span a line. The first word is the process (its `service.instance.id`; each has its own logical clock). Indentation
makes a child of the nearest open span of the same process; a span ends when the next line of its process is not inside
it, or at the end of the text. Line order is the order of starts. `key=value` sets an attribute by its short name.

    P1 run(order) outcome=complete expects=tool:charge
      P1 agent(planner)
        P1 tool(charge) args=o1 effect=write eo=applied call=c1 attempt=1 target=order/1
        P1 write(notes/plan@v2 <- v1)        # `<- init`: nothing was there; no arrow: a blind write
        P1 read(notes/plan@v1, notes/todo@v4)
        P1 write(notes/plan@v3 <- v2) !rolled_back
        P1 send(q) #m1
    P2 process(q) #m1                        # linked to the span of that label

Flags: `open` (never ends: only its pending copy was exported), `stay` (ends at `P1 end #label` or at the end of the
text), `noseq`. `parent=LABEL` makes a child across processes. `run=-` sends no run id.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from driftline.analyzers import Config, Report, analyse, install_views
from driftline.collector.store import Store, open_store

T0 = 1_790_000_000_000_000_000
MS = 1_000_000

_LINE = re.compile(r"(?P<indent> *)(?P<process>\S+) +(?P<what>\w+)(?:\((?P<subject>[^)]*)\))?(?P<rest>.*)")
_WORD = re.compile(r"[^\s=]+=\"[^\"]*\"|\S+")

_OPERATIONS = {
    "run": ("invoke_workflow", "INTERNAL", "gen_ai.workflow.name"),
    "agent": ("invoke_agent", "INTERNAL", "gen_ai.agent.name"),
    "step": ("step", "INTERNAL", "driftline.step.name"),
    "tool": ("execute_tool", "INTERNAL", "gen_ai.tool.name"),
    "llm": ("chat", "CLIENT", "gen_ai.request.model"),
    "validate": ("validate", "INTERNAL", "driftline.validation.name"),
    "retrieval": ("retrieval", "CLIENT", "gen_ai.data_source.id"),
    "read": ("read_memory", "CLIENT", ""),
    "search": ("search_memory", "CLIENT", ""),
    "create": ("create_memory", "CLIENT", ""),
    "write": ("update_memory", "CLIENT", ""),
    "upsert": ("upsert_memory", "CLIENT", ""),
    "delete": ("delete_memory", "CLIENT", ""),
    "send": ("send", "PRODUCER", "messaging.destination.name"),
    "process": ("process", "CONSUMER", "messaging.destination.name"),
    "span": ("", "INTERNAL", ""),
}
_MEMORY = ("read", "search", "create", "write", "upsert", "delete")
_ATTRIBUTES: dict[str, tuple[str, str]] = {
    "outcome": ("driftline.outcome", "str"),
    "expects": ("driftline.expects", "list"),
    "instance": ("driftline.agent.instance", "str"),
    "agent": ("gen_ai.agent.name", "str"),
    "conversation": ("gen_ai.conversation.id", "str"),
    "variant": ("driftline.variant", "str"),
    "uow": ("driftline.uow", "str"),
    "atomic": ("driftline.uow.atomic", "bool"),
    "call": ("driftline.call.id", "str"),
    "tcid": ("gen_ai.tool.call.id", "str"),
    "argtext": ("gen_ai.tool.call.arguments", "str"),
    "resulttext": ("gen_ai.tool.call.result", "str"),
    "digest": ("driftline.call.args_digest", "str"),
    "attempt": ("driftline.attempt", "int"),
    "max": ("driftline.attempt.max", "int"),
    "reason": ("driftline.attempt.reason", "str"),
    "replayed": ("driftline.replayed", "bool"),
    "effect": ("driftline.effect", "str"),
    "idem": ("driftline.effect.idempotent", "bool"),
    "key": ("driftline.effect.key", "str"),
    "target": ("driftline.effect.targets", "list"),
    "eo": ("driftline.effect.outcome", "str"),
    "undoes": ("driftline.effect.compensates", "str"),
    "used": ("driftline.effect.used", "list"),
    "kind": ("driftline.memory.version_kind", "str"),
    "ordinal": ("driftline.memory.ordinals", "ints"),
    "digests": ("driftline.memory.digests", "list"),
    "epoch": ("driftline.memory.epoch", "int"),
    "watermark": ("driftline.memory.watermark", "str"),
    "verdict": ("driftline.validation.verdict", "str"),
    "checked": ("driftline.validation.targets", "list"),
    "error": ("error.type", "str"),
    "msgid": ("messaging.message.id", "str"),
    "finish": ("gen_ai.response.finish_reasons", "list"),
    "parent_run": ("driftline.run.parent_id", "str"),
}


@dataclass
class HistorySpan:
    """One line: what it says, and the ticks and times the notation implies."""

    process: str
    what: str
    subject: str
    words: dict[str, str]
    flags: set[str]
    label: str
    indent: int
    parent: HistorySpan | None
    link: HistorySpan | None
    run: str
    trace: str
    number: int
    host: str
    start: int = 0
    end: int = 0
    seq: int = 0
    seq_end: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def trace_id(self) -> bytes:
        """Ids are hashes of names, so that they can be told from a case's text."""
        return hashlib.sha256(f"trace {self.trace}".encode()).digest()[:16]

    @property
    def span_id(self) -> bytes:
        return hashlib.sha256(f"span {self.trace} {self.process} {self.number}".encode()).digest()[:8]


def digest(value: Any) -> str:
    """The digest of a JSON value whose canonical form is what `json.dumps` writes (text, small integers, objects)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def parse(text: str) -> list[HistorySpan]:
    """The spans of a history, in order of start."""
    spans: list[HistorySpan] = []
    labels: dict[str, HistorySpan] = {}
    stacks: dict[str, list[HistorySpan]] = {}
    ticks: dict[str, int] = {}
    clock = [0]

    def tick(process: str) -> int:
        ticks[process] = ticks.get(process, 0) + 1
        return ticks[process]

    def now() -> int:
        clock[0] += 1
        return T0 + clock[0] * MS

    def finish(span: HistorySpan) -> None:
        if span.end or "open" in span.flags:
            return
        span.seq_end = tick(span.process)
        span.end = span.start + int(float(span.words["for"]) * MS) if "for" in span.words else now()

    for number, line in enumerate(text.splitlines()):
        code = re.sub(r"(^|\s)#(\s.*)?$", "", line).rstrip()
        if not code.strip():
            continue
        match = _LINE.fullmatch(code)
        if not match:
            raise ValueError(f"history line {number + 1}: {line!r} is not understood")
        process, what = match["process"], match["what"]
        words, flags, label = _words(match["rest"])
        if what == "end":
            finish(labels[label])
            continue
        if what not in _OPERATIONS:
            raise ValueError(f"history line {number + 1}: unknown operation {what!r}")
        indent, stack = len(match["indent"]), stacks.setdefault(process, [])
        while stack and stack[-1].indent >= indent:
            done = stack.pop()
            if "stay" not in done.flags:
                finish(done)
        parent = labels[words["parent"]] if "parent" in words else (stack[-1] if stack else None)
        run = words.get("run", parent.run if parent else "r1")
        span = HistorySpan(
            process=process,
            what=what,
            subject=match["subject"] or "",
            words=words,
            flags=flags,
            label=label,
            indent=indent,
            parent=parent,
            link=labels.get(label) if what == "process" else labels.get(words.get("link", "")),
            run=run,
            trace=words.get("trace", parent.trace if parent else f"of {run}"),
            number=number,
            host=words.get("host", process),
        )
        span.seq = tick(process)
        span.start = T0 + int(float(words["at"]) * MS) if "at" in words else now()
        stack.append(span)
        spans.append(span)
        if label and label not in labels:
            labels[label] = span
    for stack in stacks.values():
        for span in reversed(stack):
            finish(span)
    for span in reversed(spans):
        finish(span)
    for span in spans:
        span.attributes = _attributes(span)
    return spans


def requests(
    text: str,
    *,
    drop: Iterable[int] = (),
    double: Iterable[int] = (),
    shuffle: int | None = None,
    shift_ms: dict[str, float] | None = None,
    rename: Callable[[str], str] | None = None,
) -> list[ExportTraceServiceRequest]:
    """The history as OTLP, one request a process. *drop* and *double* name spans by position; *shift_ms*: clocks."""
    spans = parse(rename(text) if rename else text)
    dropped, doubled = set(drop), set(double)
    chosen = [span for place, span in enumerate(spans) if place not in dropped for _ in range(1 + (place in doubled))]
    if shuffle is not None:
        random.Random(shuffle).shuffle(chosen)
    by_process: dict[str, list[HistorySpan]] = {}
    for span in chosen:
        by_process.setdefault(span.process, []).append(span)
    return [_request(process, members, (shift_ms or {}).get(process, 0.0)) for process, members in by_process.items()]


def report(text: str, config: Config | None = None, *, read_all_below: int = 200_000, **how: Any) -> Report:
    """Judge a history, with the real engine."""
    return judge(requests(text, **how), config, read_all_below=read_all_below)


def judge(
    batches: Iterable[ExportTraceServiceRequest], config: Config | None = None, *, read_all_below: int = 200_000
) -> Report:
    """Judge OTLP requests as one record, in a store emptied first."""
    store = fresh_store()
    store.insert_requests(framed(batches), hashlib.sha256(random.randbytes(16)).hexdigest())
    return analyse(store, config=config, read_all_below=read_all_below)


def framed(batches: Iterable[ExportTraceServiceRequest]) -> bytes:
    """Requests in ClickHouse's length-delimited form."""
    out = b""
    for batch in batches:
        body = batch.SerializeToString()
        out += _varint(len(body)) + body
    return out


_shared: list[tuple[tempfile.TemporaryDirectory[str], Store]] = []
_TABLES = ("otel_traces", "steps", "memory_ops", "runs", "run_traces", "findings", "not_checked")


def fresh_store() -> Store:
    """An empty store with all views. One engine path a process is all chDB allows, so one store serves all tests."""
    if not _shared:
        folder = tempfile.TemporaryDirectory(prefix="driftline-test-")
        store = open_store(folder.name)
        install_views(store)
        _shared.append((folder, store))
    store = _shared[0][1]
    for table in _TABLES:
        store.command(f"TRUNCATE TABLE {table}")
    return store


def close_shared_store() -> None:
    """Give the engine path free for a test that opens a store of its own."""
    while _shared:
        folder, store = _shared.pop()
        store.close()
        folder.cleanup()


def _words(rest: str) -> tuple[dict[str, str], set[str], str]:
    words: dict[str, str] = {}
    flags: set[str] = set()
    label = ""
    for word in _WORD.findall(rest):
        if word.startswith("#"):
            label = word[1:]
        elif word.startswith("!"):
            words["status_of_write"] = word[1:]
        elif "=" in word:
            name, _, value = word.partition("=")
            words[name] = value.strip('"')
        else:
            flags.add(word)
    unknown = {name for name in words if name not in _ATTRIBUTES and not name.startswith("attr.")} - {
        "at", "for", "run", "trace", "host", "parent", "link", "args", "result", "status", "pending", "status_of_write",
        "scope", "dropped", "service", "clock",
    }  # fmt: skip
    if unknown or flags - {"open", "stay", "noseq"}:
        raise ValueError(f"unknown words in a history: {sorted(unknown | (flags - {'open', 'stay', 'noseq'}))}")
    return words, flags, label


def _attributes(span: HistorySpan) -> dict[str, Any]:
    operation, _, name_key = _OPERATIONS[span.what]
    out: dict[str, Any] = {}
    if span.what in ("send", "process"):
        out["messaging.operation.type"] = operation
    elif operation:
        out["gen_ai.operation.name"] = operation
    if span.what in _MEMORY:
        out.update(_memory(span))
    elif name_key:
        out[name_key] = span.subject
    if span.run != "-":
        out["driftline.run.id"] = span.run
    if "noseq" not in span.flags:
        out["driftline.seq"] = span.seq
        if span.seq_end:
            out["driftline.seq.end"] = span.seq_end
    if "open" in span.flags or span.words.get("pending") == "true":
        out["driftline.pending"] = True
    for short, value in span.words.items():
        if short in _ATTRIBUTES:
            key, kind = _ATTRIBUTES[short]
            out[key] = _typed(value, kind)
        elif short.startswith("attr."):
            out[short[5:]] = value
        elif short == "args":
            out["driftline.call.args_digest"] = digest({"args": value})
        elif short == "result":
            out["driftline.call.result_digest"] = digest(value)
    return out


def _memory(span: HistorySpan) -> dict[str, Any]:
    subject, _, parents = span.subject.partition("<-")
    references = [reference.strip() for reference in subject.split(",")]
    stores = {reference.partition("/")[0] for reference in references}
    keys, versions = [], []
    for reference in references:
        key, _, version = reference.partition("/")[2].rpartition("@")
        keys.append(key)
        versions.append(version)
    out: dict[str, Any] = {
        "gen_ai.memory.store.id": stores.pop(),
        "driftline.memory.keys": keys,
        "driftline.memory.versions": versions,
        "driftline.memory.version_kind": "native",
    }
    if "<-" in span.subject:
        out["driftline.memory.parents"] = [parent.strip() for parent in parents.split(",") if parent.strip()]
    if "status_of_write" in span.words:
        out["driftline.memory.status"] = span.words["status_of_write"]
    return out


def _typed(value: str, kind: str) -> Any:
    if kind == "int":
        return int(value)
    if kind == "bool":
        return value == "true"
    if kind == "list":
        return [part for part in value.split(",") if part]
    if kind == "ints":
        return [int(part) for part in value.split(",")]
    return value


def _request(process: str, spans: list[HistorySpan], shift_ms: float) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    by_scope: dict[tuple[str, str, str], Any] = {}
    for span in spans:
        scope, service = span.words.get("scope", "driftline"), span.words.get("service", "agents")
        clock = span.words.get("clock", "")
        if (scope, service, clock) not in by_scope:
            group = request.resource_spans.add()
            resource = {"service.name": service, "service.instance.id": process, "host.name": span.host}
            if clock:
                resource["driftline.clock"] = clock
            _fill(group.resource.attributes, resource)
            by_scope[scope, service, clock] = group.scope_spans.add()
            by_scope[scope, service, clock].scope.name = scope
        _fill_span(by_scope[scope, service, clock].spans.add(), span, int(shift_ms * MS))
    return request


def _fill_span(out: Span, span: HistorySpan, shift: int) -> None:
    operation, kind, _ = _OPERATIONS[span.what]
    out.trace_id, out.span_id = span.trace_id, span.span_id
    if span.parent:
        out.parent_span_id = span.parent.span_id
    named = span.attributes.get("gen_ai.memory.store.id", span.subject)
    out.name = f"{operation} {named}".strip() or span.subject
    out.kind = getattr(Span, f"SPAN_KIND_{kind}")
    out.start_time_unix_nano = span.start + shift
    out.end_time_unix_nano = (span.end or span.start) + shift
    out.dropped_attributes_count = int(span.words.get("dropped", 0))
    if span.words.get("status") == "error" or "error" in span.words:
        out.status.code = Status.STATUS_CODE_ERROR
    if span.link:
        link = out.links.add()
        link.trace_id, link.span_id = span.link.trace_id, span.link.span_id
    _fill(out.attributes, span.attributes)


def _fill(target: Any, attributes: dict[str, Any]) -> None:
    for key, value in attributes.items():
        slot = target.add()
        slot.key = key
        _set(slot.value, value)


def _set(slot: Any, value: Any) -> None:
    if isinstance(value, bool):
        slot.bool_value = value
    elif isinstance(value, int):
        slot.int_value = value
    elif isinstance(value, list):
        slot.array_value.SetInParent()
        for element in value:
            _set(slot.array_value.values.add(), element)
    else:
        slot.string_value = str(value)


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])
