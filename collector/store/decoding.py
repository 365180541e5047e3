"""How ClickHouse decodes OTLP itself: the inbox table, the view behind it, and the settings an insert needs.

The collector does no per-span work. A request's bytes go into ``otlp_inbox`` (a ``Null`` table) in ClickHouse's
length-delimited ``Protobuf`` format; the view ``otlp_spans`` turns them into rows of ``otel_traces``, and the views
that other packages hang behind that table do the rest.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

from driftline.collector.store.sql_files import read_sql, read_text

# Where the requests of a signal go in, and what otlp.proto calls them.
INBOXES = {"traces": ("otlp_inbox", "Request"), "logs": ("otlp_logs_inbox", "LogsRequest")}

_SCALARS = (
    "string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), "
    "double_value Nullable(Float64), bytes_value Nullable(String), kvlist_value Nullable(String)"
)
_ELEMENT = f"Tuple({_SCALARS}, array_value Nullable(String))"
_VALUE = f"Tuple({_SCALARS}, array_value Tuple(values Array({_ELEMENT})))"
_ATTRIBUTES = f"Array(Tuple(key String, value {_VALUE}))"

# A value nobody rewrote (see collector.nested) is kept as base64 of its wire bytes rather than dropped.
# A double is written as the exporter does, which is ECMAScript's way: 1e+21 where ClickHouse has 1e21.
_DOUBLE = "if(abs({0}) >= 1e21 AND isFinite({0}), replaceOne(toString({0}), 'e', 'e+'), toString({0}))"
_ELEMENT_TEXT = (
    "multiIf(isNotNull(x.string_value), toJSONString(assumeNotNull(x.string_value)), "
    "isNotNull(x.int_value), toString(x.int_value), "
    f"isNotNull(x.double_value), if(isFinite(assumeNotNull(x.double_value)), {_DOUBLE.format('x.double_value')}, "
    "toJSONString(toString(x.double_value))), "
    "isNotNull(x.bool_value), if(assumeNotNull(x.bool_value), 'true', 'false'), "
    "isNotNull(x.bytes_value), toJSONString(base64Encode(assumeNotNull(x.bytes_value))), "
    "isNotNull(x.kvlist_value), toJSONString(base64Encode(assumeNotNull(x.kvlist_value))), "
    "isNotNull(x.array_value), toJSONString(base64Encode(assumeNotNull(x.array_value))), 'null')"
)
_VALUE_TEXT = (
    "multiIf(isNotNull(a.value.string_value), assumeNotNull(a.value.string_value), "
    "isNotNull(a.value.int_value), toString(a.value.int_value), "
    "isNotNull(a.value.bool_value), if(assumeNotNull(a.value.bool_value), 'true', 'false'), "
    f"isNotNull(a.value.double_value), {_DOUBLE.format('a.value.double_value')}, "
    "isNotNull(a.value.bytes_value), base64Encode(assumeNotNull(a.value.bytes_value)), "
    "isNotNull(a.value.kvlist_value), base64Encode(assumeNotNull(a.value.kvlist_value)), "
    f"notEmpty(a.value.array_value.values), concat('[', arrayStringConcat(arrayMap(x -> {_ELEMENT_TEXT}, "
    "a.value.array_value.values), ','), ']'), '')"
)

# Members of what the inbox holds. With dots ClickHouse looks for columns of that name first, among all that the whole
# type could be split into: an insert was planned in 84 ms that takes 55 with calls of a function, and ran at two thirds
# of the speed.
_PATH = re.compile(r"\b(?:grouped|scoped|span|record|a|x|e|l)(?:\.[a-z_]+)+")


def _attribute_map(expression: str) -> str:
    """SQL that turns a list of OTLP attributes into a map of text; of a key given twice the last value stays."""
    last_wins = (
        f"if(arrayUniq({expression}.key) = length({expression}), {expression}, "
        f"arrayFilter((a, i) -> i = length({expression}) + 1 - indexOf(arrayReverse({expression}.key), a.key), "
        f"{expression}, arrayEnumerate({expression})))"
    )
    return f"CAST(arrayMap(a -> (a.key, {_VALUE_TEXT}), {last_wins}), 'Map(LowCardinality(String), String)')"


def inbox_statements() -> dict[str, str]:
    """The inbox tables and the views that flatten them, by name, as DDL statements in the order to run them."""
    return {
        "otlp_inbox": _table("sql/otlp_inbox.sql"),
        "otlp_spans": _view("sql/otlp_spans.sql"),
        "otlp_logs_inbox": _table("sql/otlp_logs_inbox.sql"),
        "otlp_logs": _view("sql/otlp_logs.sql"),
    }


def _table(name: str) -> str:
    return read_sql(__package__, name).replace("$attributes", _ATTRIBUTES).replace("$value", _VALUE)


def _view(name: str) -> str:
    view = re.sub(r"\$map\(([a-z_.]+)\)", lambda m: _attribute_map(m[1]), read_sql(__package__, name))
    view = re.sub(r"\$text\(([a-z_.]+)\)", lambda m: _VALUE_TEXT.replace("a.value.", f"{m[1]}."), view)
    return _PATH.sub(_elements, view).replace("$$", "$")


def _elements(path: re.Match[str]) -> str:
    """`span.events.name` as calls of tupleElement."""
    text, *members = path[0].split(".")
    for member in members:
        text = f"tupleElement({text}, '{member}')"
    return text


def insert_settings(message: str = "Request", *, embedded: bool) -> dict[str, Any]:
    """Settings under which ``INSERT INTO inbox FORMAT Protobuf`` reads length-delimited messages of otlp.proto."""
    return {
        **(_schema_as_file(message) if embedded else _schema_as_text(message)),
        # One parsing thread: the same bytes must split into the same blocks, or a replayed token would miss.
        "input_format_parallel_parsing": 0,
        "max_insert_threads": 1,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "insert_deduplicate": 1,
        # A batch is one insert of its own: servers that gather small inserts drop the token.
        "async_insert": 0,
        # Spans carry whatever times their sender's clock said; a batch may touch any number of months.
        "max_partitions_per_insert_block": 0,
        "output_format_json_escape_forward_slashes": 0,
        # Of a span that is in one batch twice (as a pending copy, too) merges leave one row, and readers see one until
        # then; to look for such in each batch costs a quarter of the insert.
        "optimize_on_insert": 0,
        # Plans of views over a block in memory are as good as they get; looking for better ones takes longer.
        "query_plan_enable_optimizations": 0,
    }


def export_statement() -> str:
    """The statement that turns stored spans into OTLP requests, with attributes as text."""
    attributes = "Array(Tuple(key String, value Tuple(string_value String)))"
    return read_sql(__package__, "sql/export_otlp.sql").replace("$attributes", attributes)


def export_settings(*, embedded: bool) -> dict[str, Any]:
    """Settings under which FORMAT Protobuf writes length-delimited trace requests."""
    return _schema_as_file("Request") if embedded else _schema_as_text("Request")


def _schema_as_file(message: str) -> dict[str, Any]:
    # From text the embedded engine would write the schema into a folder `__cache__` in the current directory.
    return {"format_schema": f"{files(__package__) / 'otlp.proto'}:{message}"}


def _schema_as_text(message: str) -> dict[str, Any]:
    return {
        "format_schema_source": "string",
        "format_schema": read_text(__package__, "otlp.proto"),
        "format_schema_message_name": message,
    }
