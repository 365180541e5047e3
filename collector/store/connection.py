"""One way to ClickHouse, whether the engine runs in this process (chDB) or on a server."""

from __future__ import annotations

import logging
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftline.collector.store import migrations
from driftline.collector.store.at_work import engine_call
from driftline.collector.store.blame import blame
from driftline.collector.store.decoding import INBOXES, insert_settings
from driftline.collector.store.errors import BatchRefused, StoreInUse, StoreNotFound, StoreUnreachable
from driftline.collector.store.loading import load_engine
from driftline.collector.store.project_databases import open_project
from driftline.collector.store.views import install_view

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client
    from typing_extensions import Self

    from driftline.collector.redaction import Redaction

Params = Mapping[str, Any]

_log = logging.getLogger("driftline.store")

_READ_SETTINGS = {
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
    "use_query_condition_cache": 0,
}

_HOLDER = re.compile(rb"PID: (\d+)")  # as ClickHouse writes into the file it locks

_PIECE = 2**20  # bytes of a result read at once

_WRITE_SETTINGS = {"async_insert": 0}  # what was inserted is there when the call returns


def open_store(
    location: str | Path,
    *,
    create: bool = True,
    project: str = "default",
    redaction: Redaction | None = None,
    key_folder: Path | None = None,
) -> Store:
    """Open the store at *location*: a folder (embedded engine) or an ``http(s)://user:password@host/database`` URL.

    With *create* the schema is brought up to date; without it the store must exist and is only read. A *project* other
    than `default` has a database beside the one that *location* leads to. *redaction*: what is to be taken from all
    that comes in from now on; None: what the store was told before, with the key in *key_folder* if it is on a server.

    Raises:
        StoreInUse: another process has the folder open.
        StoreNotFound: *create* is false and there is no store.
        StoreUnreachable: the server does not answer or refuses the user.
        StoreFromNewerVersion: the schema is newer than this driftline.
        RedactionKeyMissing: views that redact must be made anew, and the key is not here.
    """
    text = str(location)
    if text.startswith(("http://", "https://")):
        store = Store(text, redaction, key_folder)
    else:
        folder = Path(text).expanduser().resolve()
        if not create and not (folder / "store").is_dir():
            raise StoreNotFound(
                f"there is no driftline store at {folder}",
                "start one with `driftline up --data DIR`, or give the right folder with --data",
            )
        (folder / "store").mkdir(parents=True, exist_ok=True)
        refuse_if_held(folder)
        store = Store(f"chdb://{folder / 'store'}", redaction, folder)
    if project != "default":
        try:
            return open_project(store, project, create=create)
        finally:
            store.close()
    try:
        if create:
            migrations.migrate(store)
        else:
            migrations.verify(store)
    except BaseException:
        store.close()
        raise
    return store


class Store:
    """A ClickHouse database with driftline's schema in it.

    Safe to use from many threads: each call has a handle to itself, so a long query blocks no other.
    """

    def __init__(
        self, dsn: str, told: Redaction | None = None, folder: Path | None = None, project: str = "default"
    ) -> None:
        """*told*: the redaction that its opener wants; *folder*: where the key may lie."""
        self.dsn = dsn
        self.project = project
        self.told = told
        self.folder = folder
        self._redaction: Redaction | None = None
        self.embedded = dsn.startswith("chdb:")
        self._idle: deque[Client] = deque()
        self._closed = False
        with self._client():
            pass  # what is wrong with the place shows here

    def rows(self, sql: str, params: Params | None = None) -> list[dict[str, Any]]:
        """Run a SELECT; one dict a row. *params* fill ``{name:Type}`` placeholders."""
        with self._client() as client:
            result = client.query(sql, parameters=dict(params or {}))
            return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]

    def value(self, sql: str, params: Params | None = None) -> Any:
        """The first column of the first row of a SELECT; None when there is no row."""
        with self._client() as client:
            result = client.query(sql, parameters=dict(params or {})).result_rows
            return result[0][0] if result else None

    def frame(self, sql: str, params: Params | None = None) -> pl.DataFrame:
        """Run a SELECT and return its columns as a Polars frame, without a Python object a row."""
        import polars as pl

        with self._client() as client:
            return pl.DataFrame(client.query_arrow(sql, parameters=dict(params or {}), settings=_READ_SETTINGS))

    def command(self, sql: str, params: Params | None = None) -> Any:
        """Run a statement that returns nothing worth reading (DDL, INSERT … SELECT)."""
        with self._client() as client:
            return client.command(sql, parameters=dict(params or {}))

    def insert_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows into one of our small tables (findings, runs); spans go through `insert_requests`."""
        if rows:
            with self._client() as client:
                client.insert(table, list(rows), column_names=list(columns), settings=_WRITE_SETTINGS)

    def insert_frame(self, table: str, frame: pl.DataFrame) -> None:
        """Insert a Polars frame whose column names are those of *table*."""
        if frame.height:
            with self._client() as client:
                client.insert_arrow(table, frame.to_arrow(), settings=_WRITE_SETTINGS)

    def stream(
        self, sql: str, fmt: str, params: Params | None = None, settings: Mapping[str, Any] | None = None
    ) -> Iterator[bytes]:
        """Run a SELECT; its result in ClickHouse's format *fmt*, piece by piece."""
        with self._client() as client:
            found: Any = client.raw_stream(sql, parameters=dict(params or {}), settings=dict(settings or {}), fmt=fmt)
            try:
                while piece := found.read(_PIECE):
                    yield piece
            finally:
                found.close()

    def arrow(self, sql: str, params: Params | None = None) -> pa.Table:
        """Run a SELECT; its result as an Arrow table."""
        with self._client() as client:
            return client.query_arrow(sql, parameters=dict(params or {}), settings=_READ_SETTINGS)

    def insert_stream(self, table: str, fmt: str, pieces: Iterable[bytes]) -> None:
        """Insert what *pieces* are together in ClickHouse's format *fmt*."""
        with self._client() as client:
            client.raw_insert(table, insert_block=iter(pieces), fmt=fmt, settings=_WRITE_SETTINGS)  # type: ignore[arg-type]

    def insert_requests(self, framed: bytes, token: str, signal: str = "traces") -> None:
        """Insert length-delimited OTLP requests of one signal, whole or not at all.

        *token* is the batch's identity: inserting the same bytes under the same token again adds nothing.

        Raises:
            BatchRefused: ClickHouse cannot parse the bytes.
        """
        from clickhouse_connect.driver.exceptions import DatabaseError

        inbox, message = INBOXES[signal]
        settings = {**insert_settings(message, embedded=self.embedded), "insert_deduplication_token": token}
        try:
            with self._client() as client:
                client.raw_insert(inbox, insert_block=framed, fmt="Protobuf", settings=settings)
        except DatabaseError as error:
            if blame(error) == "bytes":
                raise BatchRefused(
                    f"ClickHouse refused batch {token}: {error}", "the batch is kept in the dead-letter folder"
                ) from error
            raise

    def redaction(self) -> Redaction:
        """What is taken from all that comes in, before it is stored."""
        if self._redaction is None:
            from driftline.collector.redaction import settle

            told = self.told.of_project(self.project) if self.told is not None else None
            self._redaction = settle(self, told, self.folder)
        return self._redaction

    def install_view(self, name: str, statement: str) -> bool:
        """Create the generated view *name*, replacing one of another text; true if it changed (see views.py)."""
        return install_view(self, name, statement)

    def close(self) -> None:
        """Close every handle. An embedded engine lets another process in only after this."""
        self._closed = True
        self._close_idle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @contextmanager
    def _client(self) -> Iterator[Client]:
        try:
            client = self._idle.pop()
        except IndexError:
            client = self._connect()
        try:
            with engine_call() if self.embedded else nullcontext():
                yield client
        finally:
            self._idle.append(client)
            if self._closed:
                self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _connect(self) -> Client:
        if self.embedded:
            load_engine()
        import clickhouse_connect
        from clickhouse_connect.driver.exceptions import ClickHouseError

        if self._closed:
            raise StoreUnreachable("the store was closed", "open it again before using it")
        try:
            if self.embedded:
                return clickhouse_connect.get_client(dsn=self.dsn)
            # The driver takes https from the port alone, unless it is told.
            scheme = self.dsn.partition(":")[0]
            return clickhouse_connect.get_client(dsn=self.dsn, interface=scheme, autogenerate_session_id=False)
        except (ClickHouseError, OSError, RuntimeError, ValueError) as error:  # ValueError: no URL
            if self.embedded:
                raise _embedded_trouble(self.dsn, error) from error
            raise StoreUnreachable(
                f"ClickHouse at {without_password(self.dsn)} did not let us in: {str(error).splitlines()[0]}",
                "check the address, the user and that the server runs",
            ) from error


def refuse_if_held(folder: Path) -> None:
    """Look before the engine does: it says only that it failed, and prints the reason past us.

    Raises:
        StoreInUse: another process has the engine's lock.
    """
    import fcntl

    try:
        with (folder / "store" / "status").open("rb") as status:
            try:
                fcntl.flock(status, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _HOLDER.search(status.read())
                number = int(holder[1]) if holder else 0
                if number != os.getpid():
                    who = f" ({number})" if number else ""
                    raise StoreInUse(
                        f"the store at {folder} is in use by another process{who}",
                        "stop that process, or read through its server: `driftline up` offers one",
                    ) from None
    except OSError:
        return  # no engine has been here yet, or the engine will say it better


def _embedded_trouble(dsn: str, error: Exception) -> StoreUnreachable:
    folder = dsn.removeprefix("chdb://").removesuffix("/store")
    return StoreUnreachable(
        f"the store at {folder} cannot be opened: {str(error).splitlines()[0]}",
        "run `driftline doctor --data DIR` for a closer look",
    )


def without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
