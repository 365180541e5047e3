"""Who reads which project: a key in a header or a signed-in browser, and the project that a path names.

`/p/NAME/…` is the same page as `/…`, of project NAME instead of `default`, so a link means the same to everybody who
may follow it. A browser signs in once with a key and gets a cookie, which is not the key and ends with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from driftline.collector.access import DEFAULT
from driftline.collector.door import Door, KeyLacksRight, KeyNeeded, key_in
from driftline.collector.front import refusal_headers
from driftline.collector.otlp import RefusedRequest

COOKIE = "driftline_session"
_PROJECT = re.compile(r"/p/([a-z][a-z0-9_]{0,39})(?=/|$)")
_ENTRANCES = ("/", "/runs", "/findings")  # where somebody who opens no `default` is taken to a project of theirs
_FORM = 4096
_prefix: ContextVar[str] = ContextVar("driftline_project_prefix", default="")


@dataclass(frozen=True)
class SignIn:
    """Context of `sign_in.html`. *again*: reload once, as a browser that comes from elsewhere keeps the cookie back."""

    detail: str
    next: str
    status: int
    again: bool = False


@dataclass(frozen=True)
class Visit:
    """Where a request is: its project, those its key reads, whether it came with a key, and whether it can sign out."""

    project: str = DEFAULT
    projects: tuple[str, ...] = (DEFAULT,)
    keyed: bool = False
    signed_in: bool = False


Page = Callable[[Request, SignIn], Response]


def prefix() -> str:
    """What stands before every path of the project at hand."""
    return _prefix.get()


def prefix_of(project: str) -> str:
    """What stands before every path of *project*."""
    return "" if project == DEFAULT else f"/p/{project}"


def visit(request: Request) -> Visit:
    """Where *request* is."""
    found: Visit = getattr(request.state, "visit", Visit())
    return found


class Entry:
    """ASGI: lets in who may read, and puts the project's store and counters where the pages look for them."""

    def __init__(self, app: Any, door: Door, page: Page) -> None:
        self._app = app
        self._door = door
        self._page = page

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"].startswith("/static/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if scope["path"] in ("/sign-in", "/sign-out"):
            answer: Response | None = await self._sign(request)
        else:
            answer = await self._enter(request)
        if answer is not None:
            await answer(scope, receive, send)
            return
        token = _prefix.set(scope.get("root_path", ""))
        try:
            await self._app(scope, receive, send)
        finally:
            _prefix.reset(token)

    async def _enter(self, request: Request) -> Response | None:
        """None, and the scope made ready, if the request may go on."""
        scope = request.scope
        match = _PROJECT.match(scope["path"])
        cookie = request.cookies.get(COOKIE)
        given = key_in(request.headers.raw)
        key = given or cookie
        try:
            names = await run_in_threadpool(self._door.readable, key)
        except RefusedRequest as error:
            return self._refused(request, error)
        wanted = match[1] if match else DEFAULT
        if not match and DEFAULT not in names:
            if given:
                wanted = names[0]
            elif scope["path"] in _ENTRANCES and request.method == "GET":
                return RedirectResponse(prefix_of(names[0]) + scope["path"], 303)
        try:
            project = await run_in_threadpool(self._door.read, key, wanted)
        except RefusedRequest as error:
            return self._refused(request, error)
        if match and match.end() == len(scope["path"]):
            return RedirectResponse(f"{match[0]}/", 307)
        if match:
            scope["root_path"] = match[0]
        state = scope.setdefault("state", {})
        state.update(
            store=project.store,
            stats=project.collector.stats,
            visit=Visit(project.name, names, keyed=bool(key), signed_in=bool(cookie) and not given),
        )
        return None

    async def _sign(self, request: Request) -> Response:
        if request.method == "POST" and request.url.path == "/sign-out":
            return _with_cookie(request, RedirectResponse("/sign-in", 303), "")
        if request.url.path == "/sign-out":
            return RedirectResponse("/", 303)
        if request.method != "POST":
            return self._page(request, SignIn("", local_path(request.query_params.get("next", "")), 200))
        said = parse_qs((await _read(request)).decode("utf-8", "replace"))
        goal = local_path(said.get("next", [""])[0])
        try:
            session = await run_in_threadpool(self._door.session, said.get("key", [""])[0].strip())
        except RefusedRequest as error:
            return self._page(request, SignIn(str(error), goal, error.http))
        return _with_cookie(request, RedirectResponse(goal, 303), session)

    def _refused(self, request: Request, error: RefusedRequest) -> Response:
        if wants_words(request):
            said = {"error": type(error).__name__, "detail": error.what, "todo": error.todo}
            return JSONResponse(said, error.http, refusal_headers(error))
        goal = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if request.headers.get("hx-request") == "true":
            return Response(status_code=error.http, headers={"HX-Redirect": f"/sign-in?next={quote(goal)}"})
        again = request.headers.get("sec-fetch-site") == "cross-site" and COOKIE not in request.cookies
        detail = "" if isinstance(error, KeyNeeded) and not request.cookies.get(COOKIE) else str(error)
        if isinstance(error, KeyLacksRight):
            detail = f"{error.what}. Sign in with a key that does."
        return self._page(request, SignIn(detail, local_path(goal), error.http, again))


def wants_words(request: Request) -> bool:
    """Whether a refusal should be JSON: asked for by a program, or for a JSON twin."""
    accept = request.headers.get("accept", "")
    return request.url.path.endswith(".json") or "text/html" not in accept


def local_path(goal: str) -> str:
    """*goal*, if it is a path of this server; else the first page: nobody is sent elsewhere after signing in."""
    plain = re.fullmatch(r"/(?![/\\])[^\x00-\x20\\]*", goal)
    return goal if plain and not goal.startswith("/sign-") else "/"


def navigation(request: Request) -> Mapping[str, Any]:
    """What every template needs to know of the visit."""
    here = visit(request)
    return {
        "project": here.project,
        "projects": [(name, f"{prefix_of(name)}/") for name in here.projects],
        "keyed": here.keyed,
        "signed_in": here.signed_in,
    }


def _with_cookie(request: Request, answer: Response, session: str) -> Response:
    answer.set_cookie(
        COOKIE, session, max_age=7 * 86_400 if session else 0, path="/", httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


async def _read(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM:
            return b""
    return body
