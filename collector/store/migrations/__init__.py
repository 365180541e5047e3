"""Numbered schema migrations: one statement a file, applied once, in order, each recorded when it is done.

A statement must be safe to run twice (``IF NOT EXISTS``): a crash between a statement and its record repeats it.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from driftline.collector.store.decoding import inbox_statements
from driftline.collector.store.errors import StoreFromNewerVersion, StoreNotFound
from driftline.collector.store.sql_files import read_sql
from driftline.collector.store.views import install_view

if TYPE_CHECKING:
    from driftline.collector.store.connection import Store

_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


def available() -> list[tuple[int, str]]:
    """The migrations this driftline knows: (number, file name), in order."""
    names = [entry.name for entry in files(__package__).iterdir()]
    return sorted((int(match[1]), name) for name in names if (match := _NAME.match(name)))


def migrate(store: Store) -> None:
    """Bring the schema up to date."""
    store.command(read_sql("driftline.collector.store", "sql/schema_migrations.sql"))
    done = _applied(store)
    known = available()
    _refuse_newer(done, known)
    for number, name in known:
        if number not in done:
            store.command(read_sql(__package__ or "", name))
            store.insert_rows("schema_migrations", ["number", "name"], [[number, name]])
    for name, statement in _inbox(store, known[-1][0]).items():
        install_view(store, name, statement)


def _inbox(store: Store, version: int) -> dict[str, str]:
    """The inbox and the views behind it. What only a store that redacts has goes where there are no rules any more."""
    from driftline.collector.redacted_views import NAMES, redacting

    redaction = store.redaction()
    if redaction:
        return redacting(inbox_statements(), redaction, version)
    for name in NAMES:
        if store.value(f"EXISTS TABLE {name}"):
            store.command(f"DROP TABLE {name}")
    return inbox_statements()


def verify(store: Store) -> None:
    """Check that the schema is there and not newer than we are."""
    if not store.value("EXISTS TABLE schema_migrations"):
        raise StoreNotFound("this ClickHouse database holds no driftline schema", "start `driftline up` on it once")
    _refuse_newer(_applied(store), available())


def _applied(store: Store) -> set[int]:
    return {row["number"] for row in store.rows("SELECT DISTINCT number FROM schema_migrations")}


def _refuse_newer(done: set[int], known: list[tuple[int, str]]) -> None:
    newest = known[-1][0]
    if done and max(done) > newest:
        raise StoreFromNewerVersion(
            f"the store's schema is at migration {max(done)}, this driftline knows {newest}", "upgrade driftline"
        )
