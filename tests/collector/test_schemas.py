"""The receiver and the read-only interface, called with whatever their descriptions allow and forbid."""

from __future__ import annotations

from pathlib import Path

from api_schemas import interface, receiver, try_to_break
from fake_store import FakeStore
from serving_apps import listening
from shared_store import fresh_store

from driftline.collector import Collector, create_receiver
from driftline.collector.store.http_interface import create_interface

STATEMENTS = (
    "SELECT count() FROM steps FINAL", "SELECT * FROM otel_traces", "SHOW TABLES", "DESCRIBE steps",
    "SELECT {name:String}",
    "WITH 1 AS one SELECT one FORMAT JSON", "EXPLAIN SELECT 1", "INSERT INTO steps SELECT 1", "DROP TABLE steps", ";",
)  # fmt: skip


def test_the_receiver_keeps_its_promises(tmp_path: Path) -> None:
    """Every signal, both encodings: a status, a content type and a body of OTLP's."""
    collector = Collector(FakeStore(), tmp_path)
    collector.start()
    with listening(create_receiver(collector)) as address:
        assert try_to_break(address, receiver(), examples=6) == 5
    stats = collector.stats()
    collector.stop(5)
    assert min(stats["received"], stats["acknowledged"], sum(stats["refused"].values())) > 0


def test_the_interface_keeps_its_promises() -> None:
    """No statement, parameter, setting or form is a fault of the server."""
    with listening(create_interface(fresh_store())) as address:
        assert try_to_break(address, interface(STATEMENTS)) == 3
