"""The vocabulary of the history notation: what each word of a line says on the wire."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from history_notation import HistorySpan

_WORD = re.compile(r"[^\s=]+=\"[^\"]*\"|\S+")

OPERATIONS = {
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
_HANDLED_APART = {
    "at", "for", "run", "trace", "host", "parent", "link", "args", "result", "status", "pending", "status_of_write",
    "scope", "dropped", "service", "clock",
}  # fmt: skip
_FLAGS = {"open", "stay", "noseq"}


def digest(value: Any) -> str:
    """The digest of a JSON value whose canonical form is what `json.dumps` writes (text, small integers, objects)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def words_of(rest: str) -> tuple[dict[str, str], set[str], str]:
    """The words, flags and label behind the subject of a line."""
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
    unknown = {name for name in words if name not in _ATTRIBUTES and not name.startswith("attr.")} - _HANDLED_APART
    if unknown or flags - _FLAGS:
        raise ValueError(f"unknown words in a history: {sorted(unknown | (flags - _FLAGS))}")
    return words, flags, label


def attributes_of(span: HistorySpan) -> dict[str, Any]:
    """The attributes that *span* carries on the wire."""
    operation, _, name_key = OPERATIONS[span.what]
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
        out.update(_said(short, value))
    return out


def _said(short: str, value: str) -> dict[str, Any]:
    if short in _ATTRIBUTES:
        key, kind = _ATTRIBUTES[short]
        return {key: _typed(value, kind)}
    if short.startswith("attr."):
        return {short[5:]: value}
    if short == "args":
        return {"driftline.call.args_digest": digest({"args": value})}
    if short == "result":
        return {"driftline.call.result_digest": digest(value)}
    return {}


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
