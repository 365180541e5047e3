"""Trajectories to the spans a traced agent would have sent (docs/import.md): ids, tree, calls, effects, state, order.

The same recording gives the same bytes each time. The times are made up (`driftline.clock=synthetic`); the order of
the program is in `driftline.seq`.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

from driftline import attributes as at
from driftline.analyzers.effects import WRITES
from driftline.canonical import digest
from driftline.cli.importers.otlp import key_values, resource_spans
from driftline.cli.importers.source import UnreadableRecording
from driftline.cli.importers.tau import Call, Oracle, Touched, Trajectory

if TYPE_CHECKING:
    from driftline.analyzers import Catalogue

# The day both simulators live in; any would do, as long as it is always the same.
_T0 = 1_715_785_200_000_000_000  # 2024-05-15T15:00:00Z
_SECOND = 1_000_000_000
_NOTHING = Touched("")


def request_of(
    run: Trajectory, catalogue: Catalogue, model: str, *, expects: bool = False, oracle: Oracle | None = None
) -> ExportTraceServiceRequest:
    """The spans of one run.

    Raises:
        UnreadableRecording: the oracle tells of other calls than the recording.
    """
    spans = _Spans(run, catalogue, model, _touched(run, oracle) if oracle else {})
    scope = ScopeSpans(spans=spans.all(expects=expects))
    scope.scope.name = "driftline"
    resource = {
        "service.name": f"tau-{run.domain}-agent",
        "service.version": model,
        "service.instance.id": run.run,
        at.CLOCK: "synthetic",
    }
    return ExportTraceServiceRequest(resource_spans=[resource_spans(resource, [scope])])


def _touched(run: Trajectory, oracle: Oracle) -> Mapping[tuple[int, int], Touched]:
    """What the oracle knows of *run*, checked against the calls of the recording."""
    known = oracle.runs.get(run.run, {})
    tools = {(call.message, call.number): call.tool for _, calls in run.turns for call in calls}
    for place, touched in known.items():
        if tools.get(place) != touched.tool:
            raise UnreadableRecording(
                f"{oracle.name}: run {run.run}, message {place[0]}, call {place[1]} is {touched.tool} there and "
                f"{tools.get(place, 'no call')} in the recording",
                "the oracle must be a replay of this very recording",
            )
    return known


class _Spans:
    """Builds the spans of one run; starts and ends draw their numbers from one counter."""

    def __init__(
        self, run: Trajectory, catalogue: Catalogue, model: str, touched: Mapping[tuple[int, int], Touched]
    ) -> None:
        self._run = run
        self._catalogue = catalogue
        self._model = model
        self._touched = touched
        self._trace = hashlib.sha256(run.run.encode()).digest()[:16]
        self._ticks = itertools.count(1)

    def all(self, *, expects: bool) -> list[Span]:
        """Every span, parents before children."""
        run, domain = self._run, self._run.domain
        last = max(run.messages - 1, 0)
        workflow: dict[str, Any] = {
            at.OPERATION: "invoke_workflow",
            at.WORKFLOW: f"tau-{domain}",
            at.OUTCOME: run.outcome,
        }
        if expects and (promised := self._obligations()):
            workflow[at.EXPECTS] = promised
        root = self._start(("run", 0), b"", f"invoke_workflow tau-{domain}", workflow, 0)
        turn = {at.OPERATION: "invoke_agent", at.AGENT: f"{domain}_agent", at.CONVERSATION: run.run}
        agent = self._start(("agent", 0), root.span_id, f"invoke_agent {domain}_agent", turn, 0)
        below = [span for message, calls in run.turns for span in self._turn(agent, message, calls)]
        self._end(agent, last)
        self._end(root, last)
        return [root, agent, *below]

    def _obligations(self) -> list[str]:
        """The writes among the expected actions, as obligations."""
        tools = self._catalogue.tools
        writes = Counter(name for name in self._run.expected if name in tools and tools[name].effect in WRITES)
        return [f"tool:{name}" if times == 1 else f"tool:{name}*{times}" for name, times in writes.items()]

    def _turn(self, agent: Span, message: int, calls: tuple[Call, ...]) -> Iterator[Span]:
        asked = {at.OPERATION: "chat", at.MODEL: self._model}
        place, name = (message, "chat"), f"chat {self._model}"
        yield self._end(self._start(place, agent.span_id, name, asked, message, Span.SPAN_KIND_CLIENT), message)
        for call in calls:
            yield from self._call(agent, call)

    def _call(self, agent: Span, call: Call) -> Iterator[Span]:
        answered = self._run.messages - 1 if call.result_message is None else call.result_message
        place, name = (call.message, call.number), f"execute_tool {call.tool}"
        span = self._start(place, agent.span_id, name, self._said(call), call.message)
        if call.refused:
            span.status.code = Status.STATUS_CODE_ERROR
        touched = self._touched.get((call.message, call.number), _NOTHING)
        inside = [
            *(self._read(span, call, n, *entry) for n, entry in enumerate(touched.read)),
            *(self._change(span, call, n, *entry) for n, entry in enumerate(touched.changed)),
        ]
        yield self._end(span, answered)
        yield from inside

    def _said(self, call: Call) -> dict[str, Any]:
        said: dict[str, Any] = {at.OPERATION: "execute_tool", at.TOOL: call.tool}
        if call.id:
            said[at.TOOL_CALL_ID] = call.id
        said[at.TOOL_ARGUMENTS] = call.arguments
        said[at.CALL_ID] = f"{self._run.run}/{call.message}.{call.number}"
        said[at.ARGS_DIGEST] = digest(call.arguments)
        if call.result is not None:
            said[at.TOOL_RESULT] = call.result
            said[at.RESULT_DIGEST] = digest(call.result)
        return {**said, **self._effect(call)}

    def _effect(self, call: Call) -> dict[str, Any]:
        """What the catalogue says of the tool, and what came of this call; nothing for a tool it does not know."""
        tool = self._catalogue.get(call.tool)
        if tool is None:
            return {}
        said: dict[str, Any] = {at.EFFECT: tool.effect, at.EFFECT_IDEMPOTENT: tool.idempotent}
        targets = [entity for path in tool.targets for entity in path.entities(call.arguments)]
        if targets:
            said[at.EFFECT_TARGETS] = targets
        if tool.effect in WRITES:
            said[at.EFFECT_OUTCOME] = "unknown" if call.result is None else "refused" if call.refused else "applied"
        return said

    def _read(self, parent: Span, call: Call, number: int, entity: str, version: str, state: str) -> Span:
        return self._memory(parent, call, f"read.{number}", "read_memory", entity, version, state, {})

    def _change(self, parent: Span, call: Call, number: int, entity: str, before: str, after: str, state: str) -> Span:
        operation = "create_memory" if before == "init" else "update_memory"
        parents = {at.MEMORY_PARENTS: [before]}
        return self._memory(parent, call, f"change.{number}", operation, entity, after, state, parents)

    def _memory(
        self,
        parent: Span,
        call: Call,
        what: str,
        operation: str,
        entity: str,
        version: str,
        state: str,
        more: Mapping[str, Any],
    ) -> Span:
        store, _, key = entity.partition("/")
        said = {
            at.OPERATION: operation,
            at.MEMORY_STORE: store,
            at.MEMORY_KEYS: [key],
            at.MEMORY_VERSIONS: [version],
            at.MEMORY_VERSION_KIND: "native",
            **more,
            **({at.MEMORY_DIGESTS: [state]} if state else {}),
        }
        place = (call.message, f"{call.number}.{what}")
        span = self._start(place, parent.span_id, f"{operation} {store}", said, call.message, Span.SPAN_KIND_CLIENT)
        return self._end(span, call.message)

    def _start(
        self,
        place: tuple[int | str, int | str],
        parent: bytes,
        name: str,
        attributes: Mapping[str, Any],
        message: int,
        kind: Span.SpanKind.ValueType = Span.SPAN_KIND_INTERNAL,
    ) -> Span:
        """A span begun at *message*; *place* (message index and call index) makes its id."""
        identity = f"{self._trace.hex()}|{place[0]}|{place[1]}"
        said = {at.RUN_ID: self._run.run, **attributes, at.SEQ: next(self._ticks)}
        return Span(
            trace_id=self._trace,
            span_id=hashlib.sha256(identity.encode()).digest()[:8],
            parent_span_id=parent,
            name=name,
            kind=kind,
            start_time_unix_nano=_T0 + message * _SECOND,
            attributes=key_values(said),
        )

    def _end(self, span: Span, message: int) -> Span:
        span.end_time_unix_nano = _T0 + message * _SECOND
        span.attributes.extend(key_values({at.SEQ_END: next(self._ticks)}))
        return span
