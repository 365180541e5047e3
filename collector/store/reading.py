"""What a stranger may ask of the embedded engine: one statement that reads our tables.

The engine's read-only mode stops writes, DDL and most table functions. It does not stop `SELECT … INTO OUTFILE`, the
function `file()`, `KILL QUERY`, or a file name where a table's name belongs (`FROM '/etc/passwd'`). So a statement is
first written anew by the engine's own parser (`formatQuery`: no comments, no heredocs, one kind of quotes, a single
statement), and what is run is that text, after every name in it was looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
     "aisimilarity", "aitranslate")
)  # fmt: skip
# Settings that would lift a barrier.
_BARRIERS = frozenset(("readonly", "allow_ddl", "allow_introspection_functions"))
_TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|\w+|\S", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*|`.*`", re.DOTALL)
_TABLE = re.compile(r"TableIdentifier (.*)")
_PLAIN_TABLE = re.compile(r"((?:\w+\.)?\w+)(?: \(alias [^()]+\))?")
_FORMAT = re.compile(r"\sFORMAT (\w+)$")
_SETTINGS = re.compile(r"\sSETTINGS (\w+ = (?:'[^'\\]*'|[\w.]+)(?:, \w+ = (?:'[^'\\]*'|[\w.]+))*)$")
_SYSTEM = ("system", "information_schema")
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

    def admit(self, connection: Any, sql: str, params: Mapping[str, str]) -> Reading:
        """The statement, if it only reads our tables.

        Raises:
            NotForReading: says what is not allowed.
            RuntimeError: the engine cannot parse it.
        """
        text = _rewritten(connection, sql)
        tokens = _TOKEN.findall(text)
        self._look_at_words(tokens)
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
            check_settings({name: value.strip("'") for name, value in settings.items()}),
            tables,
        )

    def _look_at_words(self, tokens: list[str]) -> None:
        first = tokens[0].upper() if tokens else ""
        if first not in _STATEMENTS:
            raise NotForReading(f"this interface only reads: {first or 'an empty statement'} is not allowed")
        if first in ("SHOW", "EXISTS") and any(token.startswith("`") for token in tokens):
            raise NotForReading(f"{first} takes plain names here")
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
        strangers = {name for name in tables if name.partition(".")[0].lower() not in _SYSTEM}
        if strangers:
            ours = str(connection.query("SELECT name FROM system.tables WHERE database = currentDatabase()", "TSVRaw"))
            unknown = sorted({name.removeprefix("default.") for name in strangers} - set(ours.split()))
            if unknown:
                raise NotForReading(f"{unknown[0]} is no table of this store")
        return frozenset(tables)


def check_settings(settings: dict[str, str]) -> dict[str, str]:
    """*settings*, if a reader may set them.

    Raises:
        NotForReading: one would lift a barrier, or is no name of a setting.
    """
    for name in settings:
        if name in _BARRIERS or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise NotForReading(f"the setting {name} cannot be changed here")
    return settings


def _rewritten(connection: Any, sql: str) -> str:
    """*sql* as the engine's parser understands it: one statement, without comments."""
    quoted = sql.replace("\\", "\\\\").replace("'", "\\'")
    try:
        text = str(connection.query(f"SELECT formatQuerySingleLine('{quoted}')", "TSVRaw"))
    except RuntimeError as error:
        raise RuntimeError(_OWN_SCOPE.sub(" (SYNTAX_ERROR)", str(error))) from None
    return text.strip("\n")


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
