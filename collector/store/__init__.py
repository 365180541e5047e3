"""The one owner of ClickHouse: connection (embedded or server), schema, migrations, ``.sql`` files."""

from __future__ import annotations

from driftline.collector.store.connection import Store, open_store
from driftline.collector.store.errors import (
    BatchRefused,
    StoreFromNewerVersion,
    StoreInUse,
    StoreNotFound,
    StoreUnreachable,
)
from driftline.collector.store.sql_files import read_sql, read_text
from driftline.collector.store.views import is_installed

__all__ = [
    "BatchRefused",
    "Store",
    "StoreFromNewerVersion",
    "StoreInUse",
    "StoreNotFound",
    "StoreUnreachable",
    "is_installed",
    "open_store",
    "read_sql",
    "read_text",
]
