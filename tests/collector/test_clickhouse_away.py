"""A ClickHouse server that is down, slow, hung, read-only or short of memory: the log takes its place, then drains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clickhouse_server import ClickHouse
from command import free_ports
from otlp_requests import request, span

from driftline.analyzers import install_views
from driftline.collector import Collector, drain
from driftline.collector.dead_letters import unframed
from driftline.collector.otlp import PROTOBUF, LogFull
from driftline.collector.store import Store, open_store

TABLES = ("otel_traces", "steps")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """One server for the module."""
    found = ClickHouse(tmp_path_factory.mktemp("clickhouse"), free_ports(1)[0])
    yield found
    found.kill()


@pytest.fixture
def store(server: ClickHouse) -> Iterator[Store]:
    """An empty database on it."""
    server.trouble()
    found = open_store(server.url)
    install_views(found)
    for table in TABLES:
        found.command(f"TRUNCATE TABLE {table}")
    yield found
    found.close()


@pytest.fixture
def collector(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector in front of it that waits little between tries."""
    monkeypatch.setattr(drain, "_BACKOFF", (0.05,))
    found = Collector(store, tmp_path)
    found.start()
    yield found
    found.stop(5)


def send(collector: Collector, *numbers: int) -> None:
    """One request a number, each of two spans."""
    for number in numbers:
        sent = request(span("a", trace=number + 1, number=1), span("b", trace=number + 1, number=2))
        collector.receive(sent.SerializeToString(), PROTOBUF)


def rows(store: Store) -> list[int]:
    """Rows on disk, without FINAL: a second copy would count."""
    return [store.value(f"SELECT count() FROM {table}") for table in TABLES]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited a minute in vain"
        time.sleep(0.01)


def test_a_server_that_crashes_and_comes_back(server: ClickHouse, store: Store, collector: Collector) -> None:
    """Nothing is refused meanwhile; afterwards everything is there, once."""
    send(collector, 0)
    assert collector.flush(60)
    server.kill()
    send(collector, *range(1, 20))
    until(lambda: bool(collector.stats()["trouble"]))
    assert collector.stats()["log_bytes"] > 0
    server.start()
    assert collector.flush(60)
    assert rows(store) == [40, 40]
    assert (collector.stats()["trouble"], collector.stats()["dead_letters"]) == ("", 0)


def test_a_server_that_restarts_amid_an_insert(server: ClickHouse, store: Store, collector: Collector) -> None:
    """Nobody knows whether the insert arrived; repeating it under its token adds nothing if it did."""
    server.trouble(delay=0.3)
    sending = threading.Thread(target=send, args=(collector, *range(30)))
    sending.start()
    for _ in range(2):
        time.sleep(0.4)
        server.kill()
        server.start()
    sending.join(60)
    assert collector.flush(60)
    assert rows(store) == [60, 60]


@pytest.mark.parametrize("how", [{"readonly": 1}, {"max_memory_usage": 1}, {"max_execution_time": 1e-6}])
def test_a_server_that_refuses_for_reasons_of_its_own(
    server: ClickHouse, store: Store, collector: Collector, how: dict[str, float]
) -> None:
    """However often: nothing is set aside, nothing is lost.

    Read with FINAL: an insert that fails for want of memory has filled one table perhaps and not the other.
    """
    server.trouble(**how)
    send(collector, *range(10))
    until(lambda: bool(collector.stats()["trouble"]))
    tries = threading.Event()
    tries.wait(1.5)  # some thirty tries
    assert collector.stats()["dead_letters"] == 0
    assert not collector.flush(0)
    server.trouble()
    assert collector.flush(60)
    assert [store.value(f"SELECT count() FROM {table} FINAL") for table in TABLES] == [20, 20]


def test_a_slow_server_gets_larger_batches(server: ClickHouse, store: Store, collector: Collector) -> None:
    """Senders are not slowed down; what waits goes in together."""
    server.trouble(delay=0.5)
    for number in range(60):
        send(collector, number)
        time.sleep(0.02)
    assert collector.stats()["waiting_segments"] <= 2
    server.trouble()
    assert collector.flush(60)
    assert rows(store) == [120, 120]


def test_a_hung_server_is_reported(
    server: ClickHouse, store: Store, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the connection and says nothing, for minutes perhaps: not ready, though no insert has failed."""
    monkeypatch.setattr(drain, "_LONG", 0.2)
    server.pause()
    try:
        send(collector, 0)
        until(lambda: "has not answered" in collector.stats()["trouble"])
    finally:
        server.resume()
    assert collector.flush(60)
    assert (rows(store), collector.stats()["trouble"]) == ([2, 2], "")


def test_a_log_at_its_limit_refuses_then_drains(server: ClickHouse, store: Store, tmp_path: Path) -> None:
    """Senders are told to come back, and when the server is back they can."""
    collector = Collector(store, tmp_path, log_limit=2000)
    collector.start()
    server.kill()
    taken = 0
    with pytest.raises(LogFull, match="limit"):
        for taken in range(100):
            send(collector, taken)
    server.start()
    assert collector.flush(60)
    until(lambda: collector.stats()["log_bytes"] == 0)
    send(collector, taken)
    assert collector.flush(60)
    collector.stop(5)
    assert rows(store) == [2 * (taken + 1)] * 2


def test_a_poison_among_good_ones(store: Store, collector: Collector) -> None:
    """A request that ClickHouse cannot read is set aside with its words; mended and replayed it would go in."""
    send(collector, 0)
    collector.submit(b"\xff\xff\xff", 7)
    send(collector, 1)
    assert collector.flush(60)
    assert rows(store) == [4, 4]
    (letter,) = collector.dead_letters.letters()
    assert list(unframed(collector.dead_letters.content(letter))) == [b"\xff\xff\xff"]
    assert "DB::Exception" in letter.reason


def test_a_letter_is_replayed_into_the_store(server: ClickHouse, store: Store, collector: Collector) -> None:
    """What was refused while something was wrong goes in when it is not."""
    sent = request(span("late", trace=77, number=1)).SerializeToString()
    collector.dead_letters.keep("t", [bytes([len(sent)]) + sent], "a view was broken", "refused")
    assert collector.dead_letters.replay(collector.dead_letters.letter("t.refused"), collector) == 1
    assert collector.flush(60)
    assert store.value("SELECT SpanName FROM otel_traces") == "late"
    assert collector.stats()["dead_letters"] == 0
