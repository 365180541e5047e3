"""What tells how the receiver fares: `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from driftline.collector.collector import Collector
from driftline.collector.door import Door, key_in
from driftline.collector.front import plain_answer
from driftline.collector.metrics import CONTENT_TYPE, Watch, exposition
from driftline.collector.otlp import RefusedRequest


def probe_routes(collector: Collector, door: Door | None, watch: Watch) -> list[Route]:
    """The routes. Who may not read is told nothing but whether to come."""

    async def healthy(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        troubles = await run_in_threadpool(watch.troubles)
        told: dict[str, Any] = {"status": "troubled" if troubles else "ok"}
        if door is None or door.keyless:  # probes bring no key: where keys are demanded they hear yes or no
            told |= {"reasons": troubles, **collector.stats()}
        return JSONResponse(told, 503 if troubles else 200)

    async def metrics(request: Request) -> Response:
        try:
            names = door.readable(key_in(request.headers.raw)) if door else None
        except RefusedRequest as error:
            return plain_answer(request, error)
        return Response(await run_in_threadpool(exposition, watch, names), media_type=CONTENT_TYPE)

    return [Route("/healthz", healthy), Route("/readyz", ready), Route("/metrics", metrics)]
