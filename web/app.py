"""Puts the web application together: pages, static files, templates, errors, security headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware

from driftline.web import assets, formats, words
from driftline.web.page import Trouble, sign_in_page, trouble_response, url
from driftline.web.pages import finding, findings, overview, run, runs, span
from driftline.web.sign_in import Entry

if TYPE_CHECKING:
    from driftline.collector.door import Door
    from driftline.collector.store import Store

Stats = Callable[[], Mapping[str, Any]]

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "private, no-cache",
}


def create_app(store: Store, *, stats: Stats | None = None, door: Door | None = None) -> FastAPI:
    """The pages over *store*, each with its JSON twin.

    With a *door* a request reads the project that its key opens, and nobody reads without. *stats* gives the counters
    of a collector in the same process for "ingest"; without it only what the store itself knows is shown.
    """
    app = FastAPI(title="driftline", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.store = store
    app.state.stats = stats
    app.state.templates = _templates()
    for page in (overview, runs, span, run, findings, finding):
        app.include_router(page.router)
    assets.mount(app)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    if door:
        app.add_middleware(Entry, door=door, page=sign_in_page)

    @app.middleware("http")
    async def secured(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(Trouble)
    def refused(request: Request, trouble: Trouble) -> Response:
        return trouble_response(request, trouble)

    @app.exception_handler(HTTPException)
    def unrouted(request: Request, error: HTTPException) -> Response:
        detail = f"There is nothing at {request.url.path}." if error.status_code == 404 else str(error.detail)
        return trouble_response(request, Trouble(error.status_code, "No such page", detail, "Start from the overview."))

    return app


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(formats.FILTERS)
    environment.globals.update(
        static=assets.static,
        url=url,
        words=words,
        from_nanos=formats.from_nanos,
        ago_of=formats.ago,
        tojson_pretty=formats.pretty,
    )
    return environment
