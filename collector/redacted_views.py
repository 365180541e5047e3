"""The views of a store that redacts: between the decoded block and the tables stands a table that keeps nothing.

otlp_inbox → otlp_spans → otel_traces_inbox (Null) → redacted_spans → otel_traces; what makes `steps` and `memory_ops`
reads otel_traces_inbox, so that digests are those of what was sent. Logs likewise. Without rules there is none of this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from driftline._redaction_rules import BODY, MESSAGE, Place
from driftline.collector.redaction_sql import RedactionSql, keyed_number
from driftline.collector.store.sql_files import read_sql

if TYPE_CHECKING:
    from driftline.collector.redaction import Redaction

SPANS, LOGS = "otel_traces_inbox", "otel_logs_inbox"
"""Where spans and log records enter a store that redacts, also those of a foreign writer."""
NAMES = ("redacted_spans", SPANS, "redacted_logs", LOGS)
"""What a store has only if it redacts, in the order to drop it."""

_ENTRANCES = {"otel_traces": SPANS, "otel_logs": LOGS}


@dataclass(frozen=True)
class _Texts:
    """The columns of a table that hold text from a sender, by place: single texts and maps, and lists of both.

    *keyed*: texts that rules may name, with their key.
    """

    texts: Mapping[str, Place]
    maps: Mapping[str, Place]
    keyed: Mapping[str, tuple[Place, str]]
    listed_texts: Mapping[str, Place] = field(default_factory=dict)
    listed_maps: Mapping[str, Place] = field(default_factory=dict)


_OF_SPANS = _Texts(
    texts={"TraceState": "span", "SpanName": "span", "ScopeName": "scope", "ScopeVersion": "scope"},
    maps={"ResourceAttributes": "resource", "SpanAttributes": "span"},
    keyed={"ServiceName": ("resource", "service.name"), "StatusMessage": ("status", MESSAGE)},
    listed_texts={"`Events.Name`": "event", "`Links.TraceState`": "link"},
    listed_maps={"`Events.Attributes`": "event", "`Links.Attributes`": "link"},
)
_OF_LOGS = _Texts(
    texts={
        "SeverityText": "log", "ResourceSchemaUrl": "resource", "ScopeSchemaUrl": "scope", "ScopeName": "scope",
        "ScopeVersion": "scope", "EventName": "log",
    },
    maps={"ResourceAttributes": "resource", "ScopeAttributes": "scope", "LogAttributes": "log"},
    keyed={"ServiceName": ("resource", "service.name"), "Body": ("log", BODY)},
)  # fmt: skip
TEXT_COLUMNS = {
    table: {
        name.strip("`")
        for columns in (of.texts, of.maps, of.keyed, of.listed_texts, of.listed_maps)
        for name in columns
    }
    for table, of in (("otel_traces", _OF_SPANS), ("otel_logs", _OF_LOGS))
}
"""The columns that are redacted, by table."""


def through_inbox(statement: str) -> str:
    """*statement* of a view behind `otel_traces` or `otel_logs`, reading what enters them instead."""
    return re.sub(r"FROM (otel_traces|otel_logs)\b", lambda m: f"FROM {_ENTRANCES[m[1]]}", statement)


def redacting(statements: Mapping[str, str], redaction: Redaction, version: int) -> dict[str, str]:
    """*statements* of the inbox, by name, for a store that redacts. *version* is that of the tables."""
    out = dict(statements)
    for table, entrance in _ENTRANCES.items():
        # The columns are those of the table as it is now: another version, another text.
        out[entrance] = f"CREATE TABLE {entrance} AS {table} ENGINE = Null COMMENT 'as of migration {version}'"
    for view, table in (("otlp_spans", "otel_traces"), ("otlp_logs", "otel_logs")):
        out[view] = out[view].replace(f" TO {table} AS", f" TO {_ENTRANCES[table]} AS", 1)
    for view, columns in (("redacted_spans", _OF_SPANS), ("redacted_logs", _OF_LOGS)):
        out[view] = _view(view, columns, redaction.sql)
    order = ("otlp_inbox", SPANS, "otlp_spans", "redacted_spans", "otlp_logs_inbox", LOGS, "otlp_logs", "redacted_logs")
    return {name: out[name] for name in order}


def grouped(prefix: str, singles: Mapping[str, str], lists: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """What columns become, where `touched`: *singles* and *lists* by what becomes of a text (or map) `t_` of theirs.

    Those that become the same are done together, in one array: a rule's regular expressions are long, and a view that
    names them for each column would be too. Returns the arrays, called *prefix* and a number, and the columns taken out
    of them again.
    """
    groups: dict[str, tuple[list[str], list[str]]] = {}
    for columns, place in ((singles, 0), (lists, 1)):
        for column, found in columns.items():
            if found != "t_":
                groups.setdefault(found, ([], []))[place].append(column)
    stages, replaced = [], []
    for number, (found, (ones, several)) in enumerate(groups.items()):
        name = f"{prefix}_{number}"
        together = ", ".join([*([f"[{', '.join(ones)}]"] if ones else []), *several])
        stages.append(f"if(touched, arrayMap(t_ -> {found}, arrayConcat({together})), []) AS {name}")
        replaced += [f"if(touched, {name}[{place}], {column}) AS {column}" for place, column in enumerate(ones, 1)]
        for place, column in enumerate(several):
            before = " + ".join([str(len(ones) + 1), *(f"length({other})" for other in several[:place])])
            replaced.append(f"if(touched, arraySlice({name}, {before}, length({column})), {column}) AS {column}")
    return stages, replaced


def stage_names(stages: Sequence[str]) -> list[str]:
    """The names of what `grouped` made."""
    return [stage.rpartition(" AS ")[2] for stage in stages]


def _view(name: str, columns: _Texts, sql: RedactionSql) -> str:
    alone = {column: sql.keyed_text(*known, column) for column, known in columns.keyed.items() if sql.concerns(*known)}
    like_texts = {column: place for column, (place, _) in columns.keyed.items() if column not in alone}
    text_stages, texts = grouped(
        "new_texts",
        {column: sql.text(place, "t_") for column, place in [*columns.texts.items(), *like_texts.items()]},
        {column: sql.text(place, "t_") for column, place in columns.listed_texts.items()},
    )
    map_stages, maps = grouped(
        "new_maps",
        {column: sql.attributes(place, "t_") for column, place in columns.maps.items()},
        {column: sql.attributes(place, "t_") for column, place in columns.listed_maps.items()},
    )
    keyed = [f"if(touched, {text}, {column}) AS {column}" for column, text in alone.items()]
    stages = [*text_stages, *map_stages] or ["0 AS new_nothing"]
    return (
        read_sql("driftline.collector.store", f"sql/{name}.sql")
        .replace("$helpers", ", ".join(["found", "touched", *stage_names(stages)]))
        .replace("$columns", ", ".join([*texts, *maps, *keyed]))
        .replace("$number", keyed_number("RecordHash"))
        .replace("$stages", ", ".join(stages))
        .replace("$found", sql.finds(_all_texts(columns)))
        .replace("$named", _named(columns, sql))
    )


def _all_texts(columns: _Texts) -> list[str]:
    texts = [*columns.texts, *columns.keyed, *_texts_of(columns.maps)]
    texts += [f"arrayStringConcat({name}, '\\n')" for name in columns.listed_texts]
    inside = ", '\\n', ".join(_texts_of(["m_"]))
    return texts + [
        f"arrayStringConcat(arrayMap(m_ -> concat({inside}), {name}), '\\n')" for name in columns.listed_maps
    ]


def _named(columns: _Texts, sql: RedactionSql) -> str:
    keys = [f"mapKeys({name})" for name in columns.maps]
    keys += [f"arrayFlatten(arrayMap(m_ -> mapKeys(m_), {name}))" for name in columns.listed_maps]
    known = [f"{column} != ''" for column, (place, key) in columns.keyed.items() if sql.names(place, key)]
    return " OR ".join([sql.named_among(keys), *known])


def _texts_of(maps: Mapping[str, Place] | Sequence[str]) -> list[str]:
    return [f"arrayStringConcat({part}({name}), '\\n')" for name in maps for part in ("mapKeys", "mapValues")]
