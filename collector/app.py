"""The OTLP/HTTP receiver: POST /v1/traces on port 4318."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from driftline.collector import otlp
from driftline.collector.collector import Collector


def create_receiver(collector: Collector, *, max_body: int = otlp.MAX_BODY) -> Starlette:
    """The ASGI app that feeds *collector*."""

    async def traces(request: Request) -> Response:
        content_type = request.headers.get("content-type", "")
        try:
            body = await _read(request, max_body)

            def work() -> otlp.Accepted:
                data = otlp.decompress(body, request.headers.get("content-encoding", ""), max_body)
                return collector.receive(data, content_type)

            # Decoding and fsync block; the event loop serves others meanwhile.
            accepted = await run_in_threadpool(work)
        except otlp.RefusedRequest as error:
            if error.http != 503:
                collector.refuse(type(error).__name__)
            return _refusal(error, content_type)
        answer, kind = otlp.success(content_type, accepted.rejected, accepted.reason)
        return Response(answer, media_type=kind)

    async def other_signal(request: Request) -> Response:
        error = otlp.SignalNotSupported(f"driftline takes traces, not {request.url.path}", "send them elsewhere")
        return _refusal(error, request.headers.get("content-type", ""))

    async def healthy(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        stats = collector.stats()
        return JSONResponse(stats, 503 if stats["trouble"] else 200)

    return Starlette(
        routes=[
            Route("/v1/traces", traces, methods=["POST"]),
            Route("/v1/logs", other_signal, methods=["POST"]),
            Route("/v1/metrics", other_signal, methods=["POST"]),
            Route("/healthz", healthy),
            Route("/readyz", ready),
        ]
    )


async def _read(request: Request, limit: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise otlp.BodyTooLarge(f"the body is larger than {limit // 2**20} MiB", "send smaller batches")
        chunks.append(chunk)
    return b"".join(chunks)


def _refusal(error: otlp.RefusedRequest, content_type: str) -> Response:
    body, kind = otlp.failure(error, content_type)
    headers = {"Retry-After": "2"} if error.http == 503 else {}
    return Response(body, error.http, headers, kind)
