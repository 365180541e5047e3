"""Projects are databases: who is connected to one cannot name a table of another without saying so."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit, urlunsplit

from driftline.collector.store import migrations
from driftline.collector.store.errors import StoreNotFound

if TYPE_CHECKING:
    from driftline.collector.store.connection import Store

_DEFAULT = "default"


def database_of(dsn: str) -> str:
    """The database that *dsn* leads to."""
    address = urlsplit(dsn)
    if address.scheme == "chdb":
        return parse_qs(address.query).get("database", [_DEFAULT])[0]
    return address.path.strip("/") or _DEFAULT


def project_database(base: str, project: str) -> str:
    """The database of *project* in a store whose base database is *base*."""
    return base if project == _DEFAULT else f"{base}_{project}"


def open_project(base: Store, project: str, *, create: bool = True) -> Store:
    """The store of *project* on the engine of *base*; with *create* it is made and brought up to date.

    Raises:
        StoreNotFound: *create* is false and there is no such project.
    """
    from driftline.collector.store.connection import Store

    name = project_database(database_of(base.dsn), project)
    if create:
        base.command(f"CREATE DATABASE IF NOT EXISTS `{name}`")
    elif not base.value("SELECT count() FROM system.databases WHERE name = {name:String}", {"name": name}):
        raise StoreNotFound(f"there is no project {project} here", "`driftline projects list` names those there are")
    store = Store(_with_database(base.dsn, name), base.told, base.folder, project)
    try:
        if create:
            migrations.migrate(store)
        else:
            migrations.verify(store)
    except BaseException:
        store.close()
        raise
    return store


def drop_project(base: Store, project: str) -> None:
    """Delete all data of *project*, which must not be `default`."""
    if project == _DEFAULT:
        raise ValueError("the base database is not dropped")
    base.command(f"DROP DATABASE IF EXISTS `{project_database(database_of(base.dsn), project)}` SYNC")


def _with_database(dsn: str, name: str) -> str:
    address = urlsplit(dsn)
    if address.scheme == "chdb":
        # urlunsplit would lose the empty host of chdb:///folder.
        return f"{dsn.partition('?')[0]}?database={name}"
    return urlunsplit(address._replace(path=f"/{name}"))
