"""Turns a page's context into HTML, or into its JSON twin; says errors in the same two ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment

from driftline.web.queries import Reader
from driftline.web.sign_in import SignIn, navigation, prefix

_SUFFIX = ".json"


class Trouble(Exception):
    """A request that cannot be answered: what is wrong, and what to do instead."""

    def __init__(self, status: int, title: str, detail: str, todo: str = "") -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.todo = todo


def reader_of(request: Request) -> Reader:
    """A reader of the app's store for this request."""
    return Reader(getattr(request.state, "store", request.app.state.store))


def counters_of(request: Request) -> dict[str, Any]:
    """The counters of the collector that feeds the project at hand; none if it is in another process."""
    stats = getattr(request.state, "stats", request.app.state.stats)
    return dict(stats()) if stats else {}


def wants_json(request: Request) -> bool:
    """Whether the JSON twin is asked for: by the path's suffix, else by what the client accepts."""
    if request.url.path.endswith(_SUFFIX):
        return True
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def show(request: Request, template: str, page: Any, reader: Reader | None = None, *, status: int = 200) -> Response:
    """Answer with *page*, a dataclass: rendered by *template*, or as JSON. *reader* gives "the SQL behind this"."""
    if wants_json(request):
        return json_response(page, status)
    html = (
        _environment(request)
        .get_template(template)
        .render(
            page=page,
            here=_path(request),
            json_url=json_url(request),
            asked=reader.asked if reader else [],
            query=dict(request.query_params),
            now=datetime.now(timezone.utc),
            **navigation(request),
        )
    )
    return HTMLResponse(html, status, headers={"Vary": "Accept, HX-Request"})


def json_response(page: Any, status: int = 200) -> Response:
    """*page* as JSON."""
    body = json.dumps(plain(page), ensure_ascii=False, separators=(",", ":"), default=str)
    return Response(body, status, media_type="application/json", headers={"Vary": "Accept"})


def json_url(request: Request) -> str:
    """Where the JSON twin of this page is."""
    path = quote(request.url.path.removesuffix(_SUFFIX), safe="/")
    # A run id may hold a slash: what came escaped must stay escaped.
    raw = request.scope.get("raw_path", b"").decode("ascii", "replace").partition("?")[0]
    path = raw.removesuffix(_SUFFIX) or path
    twin = f"{prefix()}/overview.json" if _path(request) in ("", "/") else path + _SUFFIX
    return f"{twin}?{request.url.query}" if request.url.query else twin


def trouble_response(request: Request, trouble: Trouble) -> Response:
    """*trouble* as a page or as JSON, whichever was asked for."""
    if wants_json(request):
        told = {"error": trouble.title, "detail": trouble.detail, "todo": trouble.todo}
        return json_response(told, trouble.status)
    html = (
        _environment(request)
        .get_template("error.html")
        .render(
            page=trouble,
            here=_path(request),
            json_url="",
            asked=[],
            query={},
            now=datetime.now(timezone.utc),
            **navigation(request),
        )
    )
    return HTMLResponse(html, trouble.status)


def sign_in_page(request: Request, page: SignIn) -> Response:
    """The page that asks for a key."""
    return show(request, "sign_in.html", page, status=page.status)


def plain(value: Any) -> Any:
    """*value* in terms of JSON: dataclasses as objects (without fields marked `json=False`), times as RFC 3339."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.metadata.get("json", True)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return float(value)
    return value


def url(*parts: str, **query: Any) -> str:
    """A path of *parts* in the project at hand, each escaped whole; with what in *query* is neither None nor ''."""
    path = f"{prefix()}/" + "/".join(quote(str(part), safe="") for part in parts)
    kept = {key: value for key, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(kept)}" if kept else path


def _path(request: Request) -> str:
    """The path without the project."""
    return request.url.path.removeprefix(prefix())


def _environment(request: Request) -> Environment:
    environment: Environment = request.app.state.templates
    return environment
