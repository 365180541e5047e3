"""What `steps`, `memory_ops` and `span_facts` keep of texts that the rules of redaction mean.

Detectors compare texts: agents, tools, targets, keys, versions. A mask would make different things equal, and nothing
would be missing no longer; so what a rule finds in such a text is hashed here, whatever its action, equal texts to
equal hashes. Digests, numbers, ids of spans and the words of the vocabulary stay: that is what is judged by. What is
only shown (messages of errors) gets what the rule says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline._redaction_rules import MESSAGE, Place
from driftline.collector.redacted_views import grouped, stage_names, through_inbox
from driftline.collector.redaction_sql import RedactionSql, keyed_number

if TYPE_CHECKING:
    from driftline.analyzers.dialects.table import Key
    from driftline.collector.redaction import Redaction

# Text columns of each view, and where in a span their text comes from.
TEXTS: dict[str, dict[str, tuple[Place, ...]]] = {
    "canonical_steps": {
        **dict.fromkeys(("service", "service_version", "instance", "host", "clock"), ("resource",)),
        "scope": ("scope",),
        "error_type": ("span", "event"),
        **dict.fromkeys(
            (
                "run_id", "run_parent_id", "conversation_id", "workflow", "name", "operation", "agent",
                "agent_instance", "variant", "step_name", "uow", "outcome", "tool", "tool_call_id", "call_id",
                "attempt_reason", "effect", "effect_key", "effect_outcome", "effect_compensates", "model", "provider",
                "validation",
                "validation_verdict", "destination", "message_id", "http_method", "db_operation", "code_file",
                "code_function",
            ),
            ("span",),
        ),
    },
    "canonical_memory_ops": dict.fromkeys(
        ("store", "key", "version", "version_kind", "watermark", "status"), ("span",)
    ),
    "canonical_span_facts": {"error_type": ("log",)},
}  # fmt: skip
LISTS: dict[str, dict[str, tuple[Place, ...]]] = {
    "canonical_steps": dict.fromkeys(
        ("expects", "effect_targets", "used", "finish_reasons", "validation_targets"), ("span",)
    ),
    "canonical_memory_ops": {"parents": ("span",)},
    "canonical_span_facts": {"finish_reasons": ("log",)},
}
# Columns that are shown and not compared: what the rule says is done. With the key under which rules may name them.
SHOWN: dict[str, dict[str, tuple[Place, str]]] = {
    "canonical_steps": {"status_message": ("status", MESSAGE)},
    "canonical_span_facts": {"error_message": ("log", "exception.message")},
}
# Columns that are read from attributes by name, not over the table of dialects.
_BY_NAME: dict[str, dict[str, tuple[tuple[Place, str], ...]]] = {
    "canonical_steps": {
        "service": (("resource", "service.name"),),
        "service_version": (("resource", "service.version"),),
        "instance": (("resource", "service.instance.id"),),
        "host": (("resource", "host.name"), ("resource", "host.id")),
        "clock": (("resource", "driftline.clock"),),
        "error_type": (("event", "exception.type"),),
    },
    "canonical_span_facts": {
        "error_type": (("log", "exception.type"), ("log", "error.type")),
        "finish_reasons": (("log", "gen_ai.response.finish_reasons"), ("log", "finish_reason")),
    },
}
# What else is text, and stays: ids, digests, and words that the views themselves choose.
KEPT = {
    "canonical_steps": (
        "trace_id", "span_id", "parent_id", "dialect", "kind", "span_kind", "status", "args_digest", "args_state",
        "result_digest", "link_traces", "link_spans",
    ),
    "canonical_memory_ops": ("trace_id", "span_id", "op", "digest"),
    "canonical_span_facts": ("trace_id", "span_id", "args_digest", "args_state", "result_digest"),
}  # fmt: skip

# Fields of the dialects by what a rule that names their key does to them. Lists element by element.
_LISTED = ("expects", "effect_targets", "finish_reasons", "memory_keys", "memory_versions", "memory_parents")
_REFERENCES = ("used", "validation_targets")
# Digests, numbers and truths, and what digests are made of.
_JUDGED = (
    "args_digest", "result_digest", "memory_digests", "memory_ordinals", "memory_epoch", "tool_args", "tool_result",
    "output_messages", "seq", "seq_end", "uow_atomic", "attempt", "attempt_max", "attempt_resend", "pending",
    "replayed", "effect_idempotent", "tokens_input", "tokens_output", "tokens_cache_read", "tokens_cache_write",
    "tokens_reasoning", "context_tools", "context_items", "http_status", "code_line", "failure", "not_a_span",
)  # fmt: skip
# Fields that hold words which conventions define, and those words: they say what happened, not to whom.
_WORDED = (
    "operation", "outcome", "effect", "effect_outcome", "validation_verdict", "memory_version_kind", "memory_status",
    "finish_reasons", "http_method", "db_operation", "memory_versions", "memory_parents",
)  # fmt: skip
_WORDS = (
    "true", "false", "invoke_workflow", "invoke_agent", "create_agent", "step", "execute_tool", "chat",
    "generate_content", "text_completion", "embeddings", "fetch_response", "read_memory", "search_memory",
    "create_memory", "update_memory", "upsert_memory", "delete_memory", "retrieval", "validate", "plan", "send",
    "process", "complete", "partial", "failed", "cancelled", "none", "read", "write", "destructive", "applied",
    "refused", "unknown", "pass", "fail", "error", "skipped", "native", "digest", "time", "committed", "rolled_back",
    "init", "synthetic", "stop", "length", "tool_calls", "content_filter", "get", "post", "put", "patch", "delete",
    "select", "insert", "update",
)  # fmt: skip


# A memory operation's keys, and references to them: hidden all or none, so that they still meet.
_TIED = ("driftline.memory.keys", "gen_ai.memory.record.id", "driftline.effect.used", "driftline.validation.targets")
_TIED_FIELDS = ("memory_keys", "memory_record", *_REFERENCES)


def redacted_view(name: str, statement: str, redaction: Redaction) -> str:
    """The view *name*, made by *statement*, as it is in a store that redacts."""
    sql = redaction.sql
    head, _, rest = through_inbox(statement).partition("\nSELECT\n")
    body, settings, options = rest.rpartition("\nSETTINGS\n")
    if not settings:
        body, options = rest, ""
    stages, said = grouped(
        "new_texts",
        {column: sql.hashed_parts(places, "t_") for column, places in TEXTS[name].items()},
        {column: sql.hashed_parts(places, "t_") for column, places in LISTS[name].items()},
    )
    stages = stages or ["0 AS new_nothing"]
    columns = {text.rpartition(" AS ")[2]: text.rpartition(" AS ")[0] for text in said} | _by_name(name, sql)
    texts = [*TEXTS[name], *SHOWN.get(name, ()), *(f"arrayStringConcat({column}, '\\n')" for column in LISTS[name])]
    replaced = f",{chr(10)}    ".join(f"{text} AS {column}" for column, text in columns.items())
    return (
        f"{head}\nSELECT * EXCEPT ({', '.join(['touched', *stage_names(stages)])}) REPLACE (\n    {replaced})\n"
        f"FROM (SELECT *, {', '.join(stages)} FROM (SELECT *, {sql.finds(texts)} AS touched FROM (\n"
        f"SELECT\n{body}\n))){settings}{options}"
    )


def _by_name(name: str, sql: RedactionSql) -> dict[str, str]:
    """The columns that rules may mean by a key: what becomes of them, in every row."""
    found: dict[str, str] = {}
    for column, keys in _BY_NAME.get(name, {}).items():
        each = column in LISTS[name]
        text = "t_" if each else column
        for place, key in keys:
            if sql.names(place, key):
                text = _but_words(sql.hashed_value(place, key, text), text)
        if text not in ("t_", column):
            found[column] = f"arrayMap(t_ -> {text}, {column})" if each else text
    for column, (place, key) in SHOWN.get(name, {}).items():
        text = sql.keyed_text(place, key, column)
        found[column] = text if sql.names(place, key) else f"if(touched, {text}, {column})"
    if name == "canonical_span_facts":
        found["record_hash"] = keyed_number("record_hash")
    # A view that changes nothing is still one that reads what was sent.
    return found or {"trace_id": "trace_id"}


def redacted_field(key: Key, value: str, redaction: Redaction) -> str:
    """*value* of the attribute *key*, as a column takes it: hashed if a rule names the attribute."""
    if key.field in _JUDGED or key.values or key.present:
        return value
    sql = redaction.sql
    names = (key.attribute, key.member, *(_TIED if key.field in _TIED_FIELDS else ()))
    named = next((name for name in names if name and sql.names("span", name)), "")
    if not named:
        return value
    if key.field in _REFERENCES:  # STORE/KEY@VERSION; `call:CALL_ID` is no reference to a memory
        hidden = sql.hashed_value("span", named, "r_[2]")
        parts = "extractGroups(t_, '(?s)^([^/]*/)(.*)(@[^@]*)$')"
        one = f"arrayMap(r_ -> if(notEmpty(r_), concat(r_[1], {hidden}, r_[3]), t_), [{parts}])[1]"
        return f"toJSONString(arrayMap(t_ -> {one}, {_listed(value)}))"
    hidden = sql.hashed_value("span", named, "t_")
    one = _but_words(hidden, "t_") if key.field in _WORDED else f"if(t_ = '', '', {hidden})"
    if key.field in _LISTED:
        return f"arrayMap(l_ -> if(l_ = '', '', toJSONString(arrayMap(t_ -> {one}, {_listed('l_')}))), [{value}])[1]"
    return f"arrayMap(t_ -> {one}, [{value}])[1]"


def _but_words(hidden: str, text: str) -> str:
    return f"if({text} = '' OR lower({text}) IN {_WORDS!r}, {text}, {hidden})"


def _listed(value: str) -> str:
    return f"if(startsWith({value}, '['), JSONExtract({value}, 'Array(String)'), if({value} = '', [], [{value}]))"
