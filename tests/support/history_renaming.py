"""A history under other names: agents, records, versions, runs, processes, hosts, calls, messages.

The new names sort otherwise than the old ones and hold those, so that `plain` finds back.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_MARK = re.compile(r"[a-z]{3}\^")
_NAMES = {
    "driftline.run.id", "driftline.run.parent_id", "driftline.agent.instance", "driftline.call.id",
    "driftline.effect.key", "driftline.effect.compensates", "driftline.uow", "driftline.memory.keys",
    "driftline.memory.versions", "driftline.memory.parents", "gen_ai.agent.name", "gen_ai.conversation.id",
    "gen_ai.memory.store.id", "gen_ai.workflow.name", "messaging.destination.name", "messaging.message.id",
    "service.instance.id", "host.name",
}  # fmt: skip
_REFERENCES = {"driftline.effect.used", "driftline.validation.targets"}


def renamed(request: ExportTraceServiceRequest, seed: int) -> ExportTraceServiceRequest:
    """A copy of *request* under other names, which depend on the old ones and *seed* alone."""
    copy = ExportTraceServiceRequest()
    copy.CopyFrom(request)
    for group in copy.resource_spans:
        _rename(group.resource.attributes, seed)
        for scope in group.scope_spans:
            for span in scope.spans:
                _rename(span.attributes, seed)
    return copy


def plain(text: str) -> str:
    """*text* with the old names."""
    return _MARK.sub("", text)


def _rename(attributes: Any, seed: int) -> None:
    for attribute in attributes:
        values = attribute.value.array_value.values or [attribute.value]
        for value in values:
            if value.WhichOneof("value") == "string_value":
                value.string_value = _other(attribute.key, value.string_value, seed)


def _other(attribute: str, value: str, seed: int) -> str:
    if attribute in _NAMES:
        return _name(value, seed)
    if attribute == "driftline.expects":
        kind, _, name = value.partition(":")
        return f"{kind}:{_name(name, seed)}" if kind in ("send", "agent") else value
    if attribute in _REFERENCES and value.startswith("call:"):
        return f"call:{_name(value[5:], seed)}"
    if attribute in _REFERENCES:
        record, _, version = value.rpartition("@")
        store, _, key = record.partition("/")
        return f"{_name(store, seed)}/{_name(key, seed)}@{_name(version, seed)}"
    return value


def _name(name: str, seed: int) -> str:
    """Another name; `init` and nothing are no names."""
    if name in ("", "init"):
        return name
    digest = hashlib.sha256(f"{seed} {name.partition('*')[0]}".encode()).digest()
    return "".join(chr(97 + byte % 26) for byte in digest[:3]) + "^" + name
