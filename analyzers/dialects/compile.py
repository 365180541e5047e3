"""Compiles the dialect table into the two views that turn `otel_traces` into `steps` and `memory_ops`.

One pass over a span's attributes: `transform` numbers each known key, then a field is a few look-ups in that array of
numbers. Asking the attribute map once per candidate key instead measured about 20 times slower.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from driftline.analyzers.dialects.redacting import redacted_field, redacted_view
from driftline.analyzers.dialects.table import Key, load_dialects
from driftline.analyzers.roll_up import install_roll_up
from driftline.collector.store import read_sql

if TYPE_CHECKING:
    from driftline.collector.redaction import Redaction
    from driftline.collector.store import Store

# Values that stand for "somebody removed it": never equal to anything, not even to each other.
_REMOVED = ("<REDACTED>", "<not specified>", "[REDACTED]", "__REDACTED__")
_SCRUBBED_PREFIX = "[Scrubbed"
_EMPTY_RESULTS = ('""', "null", "{}", "[]")
_CONTENT_FIELDS = ("tool_args",)
_RESULT_FIELDS = ("tool_result",)


def install_views(store: Store) -> bool:
    """Put the compiled views into *store*; true if they changed. Call before anything is inserted."""
    changed = False
    for name, statement in compile_views(store.redaction()).items():
        changed |= store.install_view(name, statement)
    return install_roll_up(store) or changed


def compile_views(redaction: Redaction | None = None) -> dict[str, str]:
    """The DDL of the views, by name; of those of a store that redacts, if there is any *redaction*."""
    files = {
        "canonical_steps": "steps.sql",
        "canonical_memory_ops": "memory_ops.sql",
        "canonical_span_facts": "span_facts.sql",
    }
    if not redaction:
        return {name: _compile(file, None) for name, file in files.items()}
    return {name: redacted_view(name, _compile(file, redaction), redaction) for name, file in files.items()}


def digest_of(text: str) -> str:
    """The digest of an already canonical JSON *text*: hex SHA-256, first 32 digits (WIRE, `call.args_digest`)."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _compile(file: str, redaction: Redaction | None) -> str:
    template = read_sql(__package__ or "", file)
    keys = _keys_by_field()
    wanted = re.findall(r"\$field\((\w+)\)", template)
    slots = _number({a for name in wanted for key in keys.get(name, ()) for a in _attributes(key)})
    text = template
    for name in sorted(set(wanted)):
        text = text.replace(f"$field({name})", _field_sql(name, keys, slots, redaction))
    text = _expand_calls(text)
    return (
        text.replace("$slots", f"arrayMap(k -> transform(k, {_list(slots)}, {list(slots.values())}, 0), keys)")
        .replace("$dialect", _dialect_sql())
        .replace("$content_keys", _list(k.attribute for f in _CONTENT_FIELDS for k in keys[f]))
        .replace("$result_keys", _list(k.attribute for f in _RESULT_FIELDS for k in keys[f]))
        .replace("$empty_digests", _list(digest_of(text) for text in _EMPTY_RESULTS))
    )


def _keys_by_field() -> dict[str, list[Key]]:
    fields: dict[str, list[Key]] = {}
    for dialect in load_dialects():
        for key in dialect.keys:
            fields.setdefault(key.field, []).append(key)
    for keys in fields.values():
        keys.sort(key=lambda key: key.order)
    return fields


def _attributes(key: Key) -> tuple[str, ...]:
    return (key.attribute, key.when[0]) if key.when else (key.attribute,)


def _number(attributes: set[str]) -> dict[str, int]:
    return {attribute: number for number, attribute in enumerate(sorted(attributes), start=1)}


def _field_sql(name: str, keys: dict[str, list[Key]], slots: dict[str, int], redaction: Redaction | None) -> str:
    if name not in keys:
        raise ValueError(f"a view asks for field {name!r}, which no dialect file names")
    candidates = [_key_sql(key, slots) for key in keys[name]]
    if redaction:
        candidates = [redacted_field(key, sql, redaction) for key, sql in zip(keys[name], candidates, strict=True)]
    if len(candidates) == 1:
        return candidates[0]
    return f"arrayFirst(x -> x != '', [{', '.join(candidates)}])"


def _key_sql(key: Key, slots: dict[str, int]) -> str:
    value = f"vals[indexOf(slots, {slots[key.attribute]})]"
    if key.present:
        value = f"if({value} != '', {_quote(key.present)}, '')"
    if key.values:
        sources, targets = zip(*key.values, strict=True)
        value = f"transform({value}, {_list(sources)}, {_list(targets)}, '')"
    if key.member:
        value = f"if(startsWith({value}, '{{'), {_member_sql(value, key.member)}, '')"
    if key.reject == "json_schema":
        schema = f"startsWith(trimLeft({value}), '{{') AND JSONExtractString({value}, 'type') = 'object'"
        value = f"if({schema} AND JSONHas({value}, 'properties'), '', {value})"
    if key.when:
        attribute, wanted = key.when
        value = f"if(vals[indexOf(slots, {slots[attribute]})] = {_quote(wanted)}, {value}, '')"
    if key.only:
        value = f"if(found_dialect = {_quote(key.only)}, {value}, '')"
    return value


def _member_sql(value: str, member: str) -> str:
    """A member of a JSON object as text: a string without its quotes, null as nothing."""
    at = f"{value}, {_quote(member)}"
    kind = f"JSONType({at})"
    return f"multiIf({kind} = 'String', JSONExtractString({at}), {kind} = 'Null', '', JSONExtractRaw({at}))"


def _dialect_sql() -> str:
    """The dialect of a span: by the scope that made it, else by the marker keys in order of rank."""
    dialects = load_dialects()
    by_scope = [
        f"startsWith(ScopeName, {_quote(scope)}), {_quote(dialect.name)}"
        for dialect in dialects
        for scope in dialect.scopes
    ]
    by_marker = [
        f"hasAny(keys, {_list(dialect.markers)}), {_quote(dialect.name)}" for dialect in dialects if dialect.markers
    ]
    return f"multiIf({', '.join([*by_scope, *by_marker])}, 'other')"


def _expand_calls(text: str) -> str:
    """Replace `$name(argument)` by the SQL of the value rule of that name; arguments may nest parentheses."""
    while match := re.search(rf"\$({'|'.join(_RULES)})\(", text):
        start = match.end()
        depth, end = 1, start
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        argument = text[start : end - 1]
        text = text[: match.start()] + _RULES[match[1]].replace("§", argument) + text[end:]
    return text


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _list(texts: object) -> str:
    return "[" + ", ".join(_quote(str(text)) for text in texts) + "]"  # type: ignore[attr-defined]


# Canonical JSON (as far as the engine goes, RFC 8785): keys sorted at every depth, numbers evened out. The JSON type
# holds objects only, so an array is wrapped and unwrapped again. What is no JSON is a string. An object with a key
# given twice is not cast: it counts as it stands. Nulls and empty objects inside an object are lost. The SETTINGS of
# the view keep dates and dots in keys as they are. Control characters, and keys like `order` and `order-id` side by
# side, come out in a form of the engine's own: the same for equal values, another than the SDK's.
_CANONICAL = (
    "multiIf("
    "startsWith(trimLeft(§), '{'), coalesce(toString(accurateCastOrNull(§, 'JSON')), §), "
    "startsWith(trimLeft(§), '['), coalesce(replaceRegexpOne("
    "toString(accurateCastOrNull(concat('{\"\":', §, '}'), 'JSON')), '(?s)^{\"\":(.*)}$', '\\\\1'), §), "
    "isValidJSON(§), trim(BOTH ' \\n\\t\\r' FROM §), "
    "toJSONString(§))"
)
# How many nulls and empty objects the canonical form has lost goes into the digest with it: an argument given as null
# is another call than one where it is left out.
_NOTHINGS = "countMatches(§, 'null|\\\\{\\\\s*\\\\}')"
_LOST = f"{_NOTHINGS} - {_NOTHINGS.replace('§', 'c')}"
_DIGEST = (
    f"arrayMap(c -> lower(hex(substring(SHA256(if({_LOST} = 0, c, concat(c, toString({_LOST})))), 1, 16))), "
    f"[{_CANONICAL}])[1]"
)
_IS_REMOVED = f"(§ IN {tuple(_REMOVED)!r} OR startsWith(§, '{_SCRUBBED_PREFIX}'))"
# Limits on the length of a value as people set them (OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT and its kin).
_LIMITS = (128, 250, 255, 256, 500, 512, 1000, 1024, 2000, 2048, 4000, 4095, 4096, 8000, 8192, 10000, 12000, 12800,
           16000, 16384, 32000, 32768, 50000, 65535, 65536, 100000)  # fmt: skip


def _cut_inside(opening: str, closing: str) -> str:
    """SQL: begins like JSON but does not end so. (A Python dict, in single quotes, has as many braces of each kind.)"""
    return (
        f"startsWith(trimLeft(§), '{opening}') * ((NOT endsWith(trimRight(§), '{closing}')) "
        f"+ (countSubstrings(§, '{opening}') != countSubstrings(§, '{closing}')))"
    )


# Cut short: it says so; or it is no whole JSON although it begins like it; or it has, as text, exactly a length that
# limits have. Sums and products instead of OR and AND, as those evaluate their sides lazily, each anew.
_IS_TRUNCATED = (
    "(endsWith(§, '...') + endsWith(§, '…') "
    "+ multiSearchAny(§, ['…\"', '…\\'', '[truncated]', '…[truncated', '<truncated>']) "
    f"+ (NOT isValidJSON(§)) * ({_cut_inside('{', '}')} + {_cut_inside('[', ']')} + startsWith(§, '\"') "
    f"+ (lengthUTF8(§) IN {_LIMITS})) > 0)"
)
# Whether a model's messages, as OpenTelemetry writes them, say nothing: no part but blank text and reasoning. NULL
# where that cannot be told: they are no list, cut short, or of another form.
_SAYS = (
    "(NOT startsWith(m, '{') OR NOT (JSONHas(m, 'parts') OR JSONHas(m, 'content')) OR JSONLength(m, 'tool_calls') > 0 "
    "OR match(JSONExtractString(m, 'content'), '\\\\S') "
    "OR arrayExists(p -> multiIf(JSONExtractString(p, 'type') IN ('reasoning', 'thinking'), 0, "
    "JSONExtractString(p, 'type') = 'text', "
    "match(concat(JSONExtractString(p, 'content'), JSONExtractString(p, 'text')), '\\\\S'), 1), "
    "arrayConcat(JSONExtractArrayRaw(m, 'parts'), JSONExtractArrayRaw(m, 'content'))))"
)
_SILENT = (
    "arrayMap(t -> if(startsWith(trimLeft(t), '[') AND isValidJSON(t), "
    f"NOT arrayExists(m -> {_SAYS}, JSONExtractArrayRaw(t)), NULL), [§])[1]"
)
_RULES = {
    "clean": f"if({_IS_REMOVED}, '', §)",
    "removed": _IS_REMOVED,
    "list": "if(startsWith(§, '['), JSONExtract(§, 'Array(String)'), if(§ = '', [], [§]))",
    # Of anything but a string JSONExtractString gives the text anew, which is another text for large numbers.
    "unwrapped": "[§, JSONExtractString(§)]["
    "1 + (startsWith(trimLeft(§), '\"') AND match(JSONExtractString(§), '^\\\\s*[{\\\\[]'))]",
    "digest": _DIGEST,
    "truncated": _IS_TRUNCATED,
    "silent": _SILENT,
    "reasons": "arrayFilter(r -> r != '', "
    "arrayMap(m -> JSONExtractString(m, 'finish_reason'), JSONExtractArrayRaw(§)))",
    "scrubbed_inside": f"multiSearchAny(§, {[_SCRUBBED_PREFIX, *_REMOVED]!r})",
}
