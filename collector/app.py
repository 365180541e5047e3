"""The OTLP/HTTP receiver: POST /v1/traces, /v1/logs and /v1/metrics on port 4318."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from driftline.collector import otlp
from driftline.collector.collector import Collector
from driftline.collector.door import AtTheDoor, Door, key_in
from driftline.collector.front import refusal_headers
from driftline.collector.metrics import Watch, Watched
from driftline.collector.probes import probe_routes
from driftline.collector.room import SMALL, Body, Crowded, Room


def create_receiver(
    collector: Collector, door: Door | None = None, *, max_body: int = otlp.MAX_BODY, watch: Watch | None = None
) -> Starlette:
    """The ASGI app that feeds *collector*, or, with a *door*, that of the project which a request's key opens.

    *watch*: what `/metrics` and `/readyz` look at; by default *collector* alone.
    """
    signals = {signal.path: signal for signal in otlp.SIGNALS.values()}
    room = Room()

    async def export(request: Request) -> Response:
        signal = signals[request.url.path]
        content_type = request.headers.get("content-type", "")
        try:
            with room.body() as body:
                await _read(request, body, max_body)
                accepted = await _take(request, signal, bytes(body), room, collector, door, max_body)
        except otlp.RefusedRequest as error:
            # Collector and door count their own.
            if (error.http != 503 or isinstance(error, Crowded)) and not isinstance(error, AtTheDoor):
                collector.refuse(type(error).__name__)
            return _refusal(error, content_type)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except asyncio.CancelledError:  # the server ends, and will not wait any longer for the rest of the body
            return _refusal(otlp.ShuttingDown("the collector is stopping", "retry later"), content_type)
        answer, kind = otlp.success(content_type, accepted.rejected, accepted.reason, signal)
        return Response(answer, media_type=kind)

    return Starlette(
        routes=[
            *(Route(path, export, methods=["POST"]) for path in signals),
            *probe_routes(collector, door, watch or Watch(lambda: [Watched("default", collector)])),
        ],
        exception_handlers={HTTPException: partial(_misdirected, collector)},
    )


async def _take(
    request: Request,
    signal: otlp.Signal,
    body: bytes,
    room: Room,
    collector: Collector,
    door: Door | None,
    max_body: int,
) -> otlp.Accepted:
    key = key_in(request.headers.raw)

    def work(limit: int) -> otlp.Accepted:
        data = otlp.decompress(body, request.headers.get("content-encoding", ""), limit)
        taker = door.enter(key, len(data)) if door else collector
        return taker.receive(data, request.headers.get("content-type", ""), signal.name)

    # Decoding and fsync block; the event loop serves others meanwhile.
    try:
        return await run_in_threadpool(work, min(SMALL, max_body))
    except otlp.BodyTooLarge:
        if max_body <= SMALL:
            raise
    async with room.turn():
        return await run_in_threadpool(work, max_body)


async def _read(request: Request, body: Body, limit: int) -> None:
    too_large = otlp.BodyTooLarge(f"the body is larger than {limit // 2**20} MiB", "send smaller batches")
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > limit:
        raise too_large
    async for chunk in request.stream():
        if body.size + len(chunk) > limit:
            raise too_large
        body.add(chunk)


async def _misdirected(collector: Collector, request: Request, error: Any) -> Response:
    """A wrong path or method: OTLP wants a Status body there too."""
    collector.refuse(otlp.WrongPlace.__name__)
    wrong = otlp.WrongPlace(
        f"{request.method} {request.url.path} is not taken here",
        "POST traces to /v1/traces and logs to /v1/logs",
    )
    return _refusal(wrong, request.headers.get("content-type", ""), error.status_code, dict(error.headers or {}))


def _refusal(
    error: otlp.RefusedRequest, content_type: str, status: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    body, kind = otlp.failure(error, content_type)
    status = status or error.http
    return Response(body, status, {**(headers or {}), **refusal_headers(error)}, kind)


def otlp_answer(request: Request, error: otlp.RefusedRequest) -> Response:
    """*error* as OTLP wants it."""
    return _refusal(error, request.headers.get("content-type", ""))
