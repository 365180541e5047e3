"""The questions the commands ask the store: one `.sql` file each, in `cli/sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftline.collector.store import read_sql

if TYPE_CHECKING:
    from driftline.collector.store import Store


def ask(store: Store, name: str, **params: Any) -> list[dict[str, Any]]:
    """The rows that `NAME.sql` gives."""
    return store.rows(read_sql(__package__ or "", f"sql/{name}.sql"), params)
