"""Large requests go one behind the other, and what has no room is told to come back."""

from __future__ import annotations

import asyncio
import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_store import FakeStore
from otlp_requests import request, span
from serving_apps import listening

from driftline.collector import Collector, app, create_receiver, otlp
from driftline.collector.room import Crowded, Room


def test_bodies_count_until_they_are_done_with() -> None:
    """Also those that are refused halfway."""
    room = Room(held=10)
    with room.body() as first:
        first.add(b"123456")
        with pytest.raises(Crowded), room.body() as second:
            second.add(b"1234")
            second.add(b"5")
        with room.body() as third:
            third.add(b"1234")
        assert bytes(first) == b"123456"
    with room.body() as whole:
        whole.add(b"0123456789")


def test_turns_come_one_behind_the_other() -> None:
    """In order; more than may wait are turned away at once, and a turn that fails is over."""

    async def try_it() -> tuple[list[str], list[Any]]:
        room, said = Room(waiting=2), list[str]()

        async def large(number: int) -> None:
            async with room.turn():
                said.append(f"begin {number}")
                await asyncio.sleep(0)
                said.append(f"end {number}")
                if number == 1:
                    raise ValueError(number)

        ended = await asyncio.gather(*(large(number) for number in range(5)), return_exceptions=True)
        return said, ended

    said, ended = asyncio.run(try_it())
    taken = [number for number, end in enumerate(ended) if not isinstance(end, Crowded)]
    assert said == [f"{word} {number}" for number in taken for word in ("begin", "end")]
    assert 2 <= len(taken) < 5
    assert isinstance(ended[1], ValueError)


def test_a_small_request_overtakes_large_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one large request is read, five more come: four wait, one hears 503; a small one is taken meanwhile."""
    monkeypatch.setattr(app, "SMALL", 2000)
    monkeypatch.setattr(app, "Room", lambda: Room(waiting=4))
    collector = Collector(FakeStore(), tmp_path)
    collector.start()
    sizes, go_on, receive = list[int](), threading.Event(), collector.receive

    def slow(body: bytes, kind: str, signal: str = "traces") -> otlp.Accepted:
        if len(body) > 2000:
            sizes.append(len(body))
            assert go_on.wait(60)
        return receive(body, kind, signal)

    monkeypatch.setattr(collector, "receive", slow)
    small = request(span("small")).SerializeToString()
    with listening(create_receiver(collector)) as address, ThreadPoolExecutor(8) as pool:

        def post(body: bytes) -> httpx.Response:
            headers = {"content-type": otlp.PROTOBUF, "content-encoding": "gzip"}
            return httpx.post(f"{address}/v1/traces", content=gzip.compress(body), headers=headers, timeout=60)

        larges = [pool.submit(post, request(span(f"{n}" * 3000)).SerializeToString()) for n in range(6)]
        while not any(large.done() for large in larges):
            assert post(small).status_code == 200
        assert len(sizes) == 1
        go_on.set()
        answers = [large.result() for large in larges]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert [answer.headers["retry-after"] for answer in refused] == ["2"]
    assert [answer.status_code for answer in answers].count(200) == 5
    assert collector.flush(10)
    assert collector.stats()["refused"] == {"Crowded": 1}
    collector.stop(5)
