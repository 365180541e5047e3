"""One store with samples for all page tests of a module; the engine allows one open path a process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import histories
import pytest
from fastapi.testclient import TestClient

from driftline.collector.store import Store
from driftline.web import create_app

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def store() -> Store:
    """A store filled with `samples`."""
    import samples

    found = histories.fresh_store()
    samples.fill(found)
    return found


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    """A client of the app over that store."""
    with TestClient(create_app(store, stats=lambda: {"requests": 7}), raise_server_exceptions=True) as found:
        yield found
