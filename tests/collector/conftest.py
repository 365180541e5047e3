"""Stores for the collector's tests: the embedded engine, and a real server when one is named."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import clickhouse_connect
import pytest
from shared_store import close_shared_store, fresh_store

from driftline.analyzers import install_views
from driftline.collector.store import Store, open_store

SERVER = os.environ.get("DRIFTLINE_TEST_CLICKHOUSE_URL", "")

BOTH = [
    "embedded",
    pytest.param(
        "server",
        marks=[
            pytest.mark.clickhouse_server,
            pytest.mark.skipif(not SERVER, reason="set DRIFTLINE_TEST_CLICKHOUSE_URL to a ClickHouse server"),
        ],
    ),
]


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store with all views, once on the embedded engine and once on a server."""
    if request.param == "embedded":
        yield fresh_store()
        return
    with server_database() as url:
        found = open_store(url)
        install_views(found)
        yield found
        found.close()


@pytest.fixture
def no_store() -> None:
    """Leaves the engine's one path to the test."""
    close_shared_store()


class server_database:  # noqa: N801 - used as a function
    """A database of its own on the server, dropped in the end."""

    def __enter__(self) -> str:
        self._name = f"driftline_test_{uuid.uuid4().hex[:12]}"
        self._client = clickhouse_connect.get_client(dsn=SERVER)
        self._client.command(f"CREATE DATABASE {self._name}")
        return f"{SERVER.rstrip('/')}/{self._name}"

    def __exit__(self, *_: object) -> None:
        self._client.command(f"DROP DATABASE {self._name}")
        self._client.close()
