"""How much of requests a receiver has in memory at once. A megabyte may unpack to sixty, and those to a gigabyte of
Python objects: large requests go one behind the other, and those for which there is no room come back later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from driftline.collector.otlp import UNAVAILABLE, RefusedRequest

SMALL = 4 * 2**20  # bytes unpacked; most requests have less than one
_HELD = 512 * 2**20
_WAITING = 16


class Crowded(RefusedRequest):
    """There is no room for the request at present."""

    http, code = 503, UNAVAILABLE


class Room:
    """The room of one receiver, that is of one event loop."""

    def __init__(self, held: int = _HELD, waiting: int = _WAITING) -> None:
        self._held, self._most = 0, held
        self._waiting, self._longest = 0, waiting
        self._large = asyncio.Semaphore(1)

    @contextmanager
    def body(self) -> Iterator[Body]:
        """A body as it arrives; its bytes count until the block ends."""
        body = Body(self)
        try:
            yield body
        finally:
            self._held -= body.size

    def hold(self, size: int) -> None:
        """Count so many bytes more.

        Raises:
            Crowded: they are too many.
        """
        if self._held + size > self._most:
            raise Crowded(f"requests of {self._most // 2**20} MiB are under way", "retry later")
        self._held += size

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The turn of a large request.

        Raises:
            Crowded: too many wait for theirs.
        """
        if self._waiting >= self._longest:
            raise Crowded(f"{self._waiting} large requests wait for their turn", "retry later, or send smaller batches")
        self._waiting += 1
        try:
            await self._large.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._large.release()


class Body:
    """What has arrived of a body."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._chunks: list[bytes] = []
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """A piece more.

        Raises:
            Crowded
        """
        self._room.hold(len(chunk))
        self.size += len(chunk)
        self._chunks.append(chunk)

    def __bytes__(self) -> bytes:
        self._chunks[:] = [b"".join(self._chunks)]
        return self._chunks[0]
