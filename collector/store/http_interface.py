"""A read-only ClickHouse HTTP interface over the embedded store.

chDB lets one process have a folder open. Everybody else (the other commands, Grafana, `curl`, any ClickHouse client)
reads through this. Reading means our tables: the engine runs in read-only mode, and table functions that would open
files or connections are refused before the engine sees them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from driftline.collector.store.connection import Store

_STATEMENTS = ("select", "with", "show", "describe", "desc", "exists", "explain")
_HARMLESS = frozenset(
    (
        "numbers",
        "numbers_mt",
        "zeros",
        "zeros_mt",
        "values",
        "view",
        "null",
        "generateseries",
        "generate_series",
        "merge",
    )
)
_LITERALS = re.compile(r"'(?:[^'\\]|\\.|'')*'|--[^\n]*|/\*.*?\*/|#!?[^\n]*|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_NOT_SETTINGS = frozenset(
    ("query", "database", "default_format", "user", "password", "session_id", "query_id", "compress", "decompress",
     "enable_http_compression", "wait_end_of_query", "buffer_size", "role", "quota_key", "send_progress_in_http_headers",
     "http_headers_progress_interval_ms", "client_protocol_version", "session_timeout", "session_check", "readonly")
)  # fmt: skip
_READONLY = 164


class NotForReading(Exception):
    """A statement this interface does not run."""


class _Engine:
    """Read-only engine connections, one a thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        self._forbidden = self._outside_functions()

    def run(self, sql: str, fmt: str, params: dict[str, str], settings: dict[str, str]) -> bytes:
        """The result of *sql* in *fmt*."""
        check_statement(sql, self._forbidden)
        connection = self._connection()
        for name, value in settings.items():
            connection.query(f"SET {name} = '{_escape(value)}'")
        try:
            result = connection.query(sql, fmt, params=params)
            return bytes(result.bytes() or b"")
        finally:
            if settings:
                self._local.connection = None
                connection.close()

    def _connection(self) -> Any:
        import chdb

        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = chdb.connect(self._path)
            connection.query("SET readonly = 2")
            self._local.connection = connection
        return connection

    def _outside_functions(self) -> frozenset[str]:
        import chdb

        probe = chdb.connect(self._path)
        try:
            names = str(probe.query("SELECT lower(name) FROM system.table_functions", "TSV")).split()
        finally:
            probe.close()
        return frozenset(names) - _HARMLESS | {"file"}


def check_statement(sql: str, forbidden: frozenset[str]) -> None:
    """Refuse what is no plain reading of our tables.

    Raises:
        NotForReading: says what is not allowed.
    """
    bare = _LITERALS.sub(" ", sql).replace("`", "").replace('"', "")
    word = (bare.split(None, 1) or [""])[0].lower().lstrip("(")
    if word not in _STATEMENTS:
        raise NotForReading(f"this interface only reads: {word.upper() or 'an empty statement'} is not allowed")
    if re.search(r"\bINTO\s+OUTFILE\b", bare, re.IGNORECASE):
        raise NotForReading("INTO OUTFILE is not allowed here")
    for name in _CALL.findall(bare):
        if name.lower() in forbidden:
            raise NotForReading(f"table function {name} is not allowed here")


def create_interface(store: Store) -> Starlette:
    """The ASGI app over an embedded *store*."""
    engine = _Engine(store.dsn.removeprefix("chdb://"))

    async def query(request: Request) -> Response:
        params = request.query_params
        body = (await request.body()).decode("utf-8", "replace") if request.method == "POST" else ""
        sql = "\n".join(part for part in (params.get("query", ""), body) if part.strip())
        if not sql:
            return PlainTextResponse("Ok.\n")
        given = _FORMAT.search(sql)
        fmt = given[1] if given else params.get("default_format", "TabSeparated")
        statement = _FORMAT.sub("", sql) if given else sql
        bound = {name[6:]: value for name, value in params.items() if name.startswith("param_")}
        settings = _settings(params)

        try:
            data = await run_in_threadpool(engine.run, statement.rstrip().rstrip(";"), fmt, bound, settings)
        except NotForReading as error:
            return _failure(str(error), _READONLY, 403)
        except Exception as error:  # noqa: BLE001 - every engine error is the client's to read
            code = re.search(r"Code: (\d+)", str(error))
            return _failure(str(error), int(code[1]) if code else 1000, 400)
        return Response(
            data, headers={"X-ClickHouse-Format": fmt, "X-ClickHouse-Timezone": "UTC"}, media_type=_media(fmt)
        )

    async def ping(_: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    return Starlette(routes=[Route("/ping", ping), Route("/", query, methods=["GET", "POST"])])


def _settings(params: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in params.items()
        if name not in _NOT_SETTINGS and not name.startswith("param_") and re.fullmatch(r"[a-z][a-z0-9_]*", name)
    }


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _failure(message: str, code: int, status: int) -> Response:
    text = message if message.startswith("Code:") else f"Code: {code}. DB::Exception: {message}"
    return PlainTextResponse(text + "\n", status, headers={"X-ClickHouse-Exception-Code": str(code)})


def _media(fmt: str) -> str:
    return (
        "application/json"
        if fmt.startswith("JSON")
        else "text/plain; charset=UTF-8"
        if fmt.startswith("T")
        else "application/octet-stream"
    )
