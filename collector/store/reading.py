"""What a stranger may ask of the embedded engine: one statement that reads our tables.

The engine's read-only mode stops writes, DDL and most table functions. It does not stop `SELECT … INTO OUTFILE`, the
function `file()`, `KILL QUERY`, or a file name where a table's name belongs (`FROM '/etc/passwd'`). So a statement is
first written anew by the engine's own parser (`formatQuery`: no comments, no heredocs, one kind of quotes, a single
statement), and what is run is that text, after every name in it was looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STATEMENTS = ("SELECT", "WITH", "SHOW", "DESCRIBE", "EXISTS", "EXPLAIN")
_HARMLESS = frozenset(
    ("numbers", "numbers_mt", "zeros", "zeros_mt", "values", "view", "null", "generateseries", "generate_series")
)
# Functions that are no table functions and yet reach out of the store.
_OUTSIDE = frozenset(
    ("file", "catboostevaluate", "aiclassify", "aiembed", "aiextract", "aifilter", "aigenerate", "airedact",
     "aisimilarity", "aitranslate", "hascolumnintable", "joinget", "joingetornull")
)  # fmt: skip
# Settings that would lift a barrier.
_BARRIERS = frozenset(("readonly", "allow_ddl", "allow_introspection_functions", "profile", "dialect"))
# Settings that hold text may hold an expression (`additional_result_filter`), a table's name
# (`implicit_table_at_top_level`) or a file's (`format_template_row`). These hold neither.
_TEXTS = frozenset(
    ("log_comment", "bool_true_representation", "bool_false_representation", "format_csv_null_representation",
     "format_tsv_null_representation", "output_format_pretty_grid_charset", "network_compression_method",
     "format_custom_escaping_rule", "format_custom_field_delimiter", "format_custom_row_before_delimiter",
     "format_custom_row_after_delimiter", "format_custom_row_between_delimiter",
     "format_custom_result_before_delimiter", "format_custom_result_after_delimiter")
)  # fmt: skip
_TEXT_TYPES = frozenset(("String", "Map", "URI", "Dialect", "SQLSecurityType", "DefaultTableEngine"))
# What the engine tells about itself, the same to everybody …
_ABOUT_THE_ENGINE = frozenset(
    ("one", "numbers", "numbers_mt", "zeros", "zeros_mt", "settings", "merge_tree_settings", "functions", "formats",
     "data_type_families", "aggregate_function_combinators", "collations", "table_functions", "table_engines",
     "keywords", "time_zones", "build_options")
)  # fmt: skip
# … and about its databases: the column that names the database.
_ABOUT_DATABASES = {
    "databases": "name",
    "tables": "database",
    "columns": "database",
    "parts": "database",
    "parts_columns": "database",
    "data_skipping_indices": "database",
}
_SHOWN = re.compile(
    r"SHOW (?:(?:FULL |EXTENDED )*(?:TABLES|DATABASES|COLUMNS|FIELDS|SETTINGS|FUNCTIONS|ENGINES))\b", re.IGNORECASE
)
_ONE_TABLE = re.compile(r"(?:SHOW CREATE|EXISTS)(?: TABLE| VIEW)? ((?:\w+\.)?\w+)", re.IGNORECASE)
_TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|\w+|\S", re.DOTALL)
# `in(x, t)` instead of `x IN (t)`, which the parser writes with a space: what is a table there is hard to tell.
_SET_FUNCTION = re.compile(r"`?(?:global)?(?:not)?(?:null)?in(?:ignoreset)?`?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_]\w*|`.*`", re.DOTALL)
_TABLE = re.compile(r"TableIdentifier (.*)")
_PLAIN_TABLE = re.compile(r"((?:\w+\.)?\w+)(?: \(alias [^()]+\))?")
_FORMAT = re.compile(r"\sFORMAT (\w+)$")
_SETTINGS = re.compile(r"\sSETTINGS (\w+ = (?:'[^'\\]*'|[\w.]+)(?:, \w+ = (?:'[^'\\]*'|[\w.]+))*)$")
_OWN_SCOPE = re.compile(r":?\s*In scope SELECT formatQuerySingleLine.*", re.DOTALL)


class NotForReading(Exception):
    """A statement this interface does not run."""


@dataclass(frozen=True)
class Reading:
    """A statement that may be run, without its FORMAT and SETTINGS: *fmt* and *settings* are those it names."""

    sql: str
    fmt: str
    settings: dict[str, str]
    tables: frozenset[str]


class Gate:
    """Looks at statements before they are run. *connection*: a chDB connection, used for each call alone."""

    def __init__(self, connection: Any) -> None:
        names = str(connection.query("SELECT lower(name) FROM system.table_functions", "TSVRaw")).split()
        self._forbidden = frozenset(names) - _HARMLESS | _OUTSIDE
        known = str(connection.query("SELECT name, type FROM system.settings", "TSVRaw")).splitlines()
        types = dict(line.split("\t", 1) for line in known)
        self._texts = frozenset(name for name, kind in types.items() if kind in _TEXT_TYPES) - _TEXTS

    def admit(self, connection: Any, sql: str, params: Mapping[str, str]) -> Reading:
        """The statement, if it only reads our tables.

        Raises:
            NotForReading: says what is not allowed.
            RuntimeError: the engine cannot parse it.
        """
        text = _rewritten(connection, sql)
        tokens = _TOKEN.findall(text)
        self._look_at_words(text, tokens)
        tables = self._look_at_tables(connection, text, tokens, params)
        named = _FORMAT.search(text)
        sql = text[: named.start()] if named else text
        said = _SETTINGS.search(sql)
        if tokens.count("SETTINGS") > bool(said):
            # Inside a subquery the engine would let them lift its read-only mode there.
            raise NotForReading("SETTINGS may only stand at the end of the statement")
        settings = dict(pair.split(" = ", 1) for pair in said[1].split(", ")) if said else {}
        return Reading(
            sql[: said.start()] if said else sql,
            named[1] if named else "",
            self.check_settings({name: value.strip("'") for name, value in settings.items()}),
            tables,
        )

    def check_settings(self, settings: dict[str, str]) -> dict[str, str]:
        """*settings*, if a reader may set them.

        Raises:
            NotForReading: one would lift a barrier, or is no name of a setting.
        """
        for name in settings:
            if name in _BARRIERS or name in self._texts or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise NotForReading(f"the setting {name} cannot be changed here")
        return settings

    def _look_at_words(self, text: str, tokens: list[str]) -> None:
        first = tokens[0].upper() if tokens else ""
        if first not in _STATEMENTS:
            raise NotForReading(f"this interface only reads: {first or 'an empty statement'} is not allowed")
        if first in ("SHOW", "EXISTS") and any(token.startswith("`") for token in tokens):
            raise NotForReading(f"{first} takes plain names here")
        calls = [token for token, behind in _with_next(text) if behind == "(" and _SET_FUNCTION.fullmatch(token)]
        if calls:
            raise NotForReading(f"{calls[0]}(…) is not allowed here: write x IN (…), or x NOT IN (…)")
        words = [token.upper() for token in tokens]
        if "INTO" in words:
            raise NotForReading("INTO is not allowed here: this interface only reads")
        for number, word in enumerate(tokens[:-1]):
            if tokens[number + 1] == "(" and word.strip("`").lower() in self._forbidden:
                raise NotForReading(f"the function {word.strip('`')} is not allowed here")
            if word == ":" and words[number + 1] == "IDENTIFIER":
                raise NotForReading("parameters of type Identifier are not allowed here")

    def _look_at_tables(
        self, connection: Any, text: str, tokens: list[str], params: Mapping[str, str]
    ) -> frozenset[str]:
        tree = str(connection.query(f"EXPLAIN AST {text}", "TSVRaw", params=dict(params)))
        inside = _subqueries_named(tokens)
        sets = set(_names_behind_in(tokens)) - _aliases(tokens)
        tables = set()
        for name in {match[1] for match in _TABLE.finditer(tree)} | sets:
            plain = _PLAIN_TABLE.fullmatch(name)
            if plain is None:
                raise NotForReading(f"{name} is no table of this store")
            tables.add(plain[1])
        # A name given inside the statement may be out of scope where it is used: a file of that name would be read.
        tables -= {name for name in inside if not Path(name).exists()}
        shown = _shown_table(text)
        strangers = {name for name in tables if not _about_the_engine(name)} | ({shown} if shown else set())
        if strangers:
            database = str(connection.query("SELECT currentDatabase()", "TSVRaw")).strip()
            ours = str(connection.query("SELECT name FROM system.tables WHERE database = currentDatabase()", "TSVRaw"))
            unknown = sorted({name.removeprefix(f"{database}.") for name in strangers} - set(ours.split()))
            if unknown:
                raise NotForReading(f"{unknown[0]} is no table of this store")
        return frozenset(tables)


def _shown_table(text: str) -> str:
    """The table that a SHOW CREATE or EXISTS statement is about: the tree does not call it one. '' in others."""
    first = text.partition(" ")[0].upper()
    if first not in ("SHOW", "EXISTS") or _SHOWN.match(text):
        return ""
    match = _ONE_TABLE.match(text)
    if match is None:
        raise NotForReading(f"this {first} is not allowed here: it tells of more than the tables of this store")
    return match[1]


def _about_the_engine(name: str) -> bool:
    """Whether *name* is a table of the engine's own that tells nothing about other databases."""
    database, _, table = name.partition(".")
    if database.lower() == "information_schema":
        return True  # views of system tables, and the filters reach through them
    return database == "system" and (table in _ABOUT_THE_ENGINE or table in _ABOUT_DATABASES)


def system_filters(database: str) -> str:
    """A value for `additional_table_filters`: of what the engine tells, the rows about *database*."""
    pairs = (f"'system.{table}': '{column} = \\'{database}\\''" for table, column in _ABOUT_DATABASES.items())
    return "{" + ", ".join(pairs) + "}"


def _rewritten(connection: Any, sql: str) -> str:
    """*sql* as the engine's parser understands it: one statement, without comments."""
    quoted = sql.replace("\\", "\\\\").replace("'", "\\'")
    try:
        text = str(connection.query(f"SELECT formatQuerySingleLine('{quoted}')", "TSVRaw"))
    except RuntimeError as error:
        raise RuntimeError(_OWN_SCOPE.sub(" (SYNTAX_ERROR)", str(error))) from None
    return text.strip("\n")


def _with_next(text: str) -> Iterator[tuple[str, str]]:
    """Each token of *text*, with the character that follows it at once."""
    for match in _TOKEN.finditer(text):
        yield match[0], text[match.end() : match.end() + 1]


def _names_behind_in(tokens: list[str]) -> list[str]:
    """What stands behind IN as a bare name: the engine takes it for a table."""
    found = []
    for number, word in enumerate(tokens):
        if word.upper() != "IN":
            continue
        start = number + 1
        while tokens[start : start + 1] == ["("]:
            start += 1
        end = start
        while end < len(tokens) and _NAME.fullmatch(tokens[end]):
            end += 1
            if tokens[end : end + 1] != ["."]:
                break
            end += 1
        # In brackets, a name with something behind it is an expression or the beginning of a subquery.
        if end > start and (start == number + 1 or tokens[end : end + 1] == [")"]):
            found.append("".join(tokens[start:end]).replace("`", ""))
    return [name for name in found if name.upper() not in ("NULL", "TRUE", "FALSE")]


def _subqueries_named(tokens: list[str]) -> set[str]:
    """`WITH x AS (SELECT …)`: the names of such subqueries."""
    return {
        tokens[n - 1].strip("`")
        for n, word in enumerate(tokens)
        if word.upper() == "AS" and n and tokens[n + 1 : n + 2] == ["("] and tokens[n + 2 : n + 3] != []
        and tokens[n + 2].upper() in ("SELECT", "WITH", "(")
    }  # fmt: skip


def _aliases(tokens: list[str]) -> set[str]:
    """`… AS x`: names of expressions, which a set may be; not those that are also a file's."""
    names = {tokens[n + 1].strip("`") for n, word in enumerate(tokens[:-1]) if word.upper() == "AS"}
    return {name for name in names | _subqueries_named(tokens) if not Path(name).exists()}
