"""What stands before every HTTP app: whose name it was called by, and by what way the request came.

A server that listens on loopback lets its own machine in without a key. Two strangers can look like the machine: a page
in the user's browser whose name was made to lead here (DNS rebinding), told by the Host header; and whoever comes
through a proxy on the same machine, told by the headers that proxies add.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from driftline.collector.access import Right
from driftline.collector.door import PERMISSION_DENIED, AtTheDoor, Door, KeyNeeded, key_in
from driftline.collector.otlp import RefusedRequest

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
Answer = Callable[[Request, RefusedRequest], Response]

_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_PROXIED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class UnknownHost(AtTheDoor):
    """The request names a host that this server is not called by."""

    http, code = 421, PERMISSION_DENIED


class CrossSite(AtTheDoor):
    """A page of another site sent this by way of its visitor's browser."""

    http, code = 403, PERMISSION_DENIED


class Front:
    """*app* behind the checks that all apps share, and with the headers that all answers have.

    *names*: what else this server may be called. *free*: paths that tell nothing and need no key. *right*: what a path
    needs, looked at before anything is read for a stranger; without it the app looks itself.
    """

    def __init__(
        self,
        app: Any,
        door: Door,
        *,
        answer: Answer,
        right: Callable[[str], Right] | None = None,
        names: Iterable[str] = (),
        free: Iterable[str] = ("/healthz", "/readyz", "/ping"),
    ) -> None:
        self._app = app
        self._door = door
        self._answer = answer
        self._names = frozenset(name.lower() for name in names)
        self._free = frozenset(free)
        self._right = right

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in _HEADERS if pair[0] not in said)]
            await send(message)

        try:
            self._look(scope)
        except RefusedRequest as error:
            await self._answer(Request(scope), error)(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)

    def _look(self, scope: Message) -> None:
        headers = scope["headers"]
        said = {name.lower(): value.decode("latin-1") for name, value in headers}
        reading = scope["method"] in ("GET", "HEAD")
        if came_from_elsewhere(said) and not (reading and said.get(b"sec-fetch-mode", "navigate") == "navigate"):
            raise CrossSite("a page of another site sent this", "send it from a page of this server, or by a program")
        if scope["path"] not in self._free:
            self._look_at_way(said, key_in(headers))
            if self._right:
                self._door.check(key_in(headers), self._right(scope["path"]))

    def _look_at_way(self, said: dict[bytes, str], key: str | None) -> None:
        if not self._door.keyless:
            return
        if not is_local_name(said.get(b"host", ""), self._names):
            raise UnknownHost(
                f"this server listens on its own machine only, and is not called {said.get(b'host', '')[:200]!r}",
                "ask for localhost; if the name is right, tell `driftline up` with --allow-host",
            )
        look_for_proxy(self._door, said, key)


def look_for_proxy(door: Door, names: Container[bytes], key: str | None) -> None:
    """Refuse a request without a key that did not come from this machine itself; *names* of its headers tell.

    Raises:
        KeyNeeded
    """
    if door.keyless and key is None and any(name in names for name in _PROXIED):
        raise KeyNeeded(
            "this came through a proxy, and without a key only this machine itself may enter",
            "start `driftline up` with --behind-proxy, and send a key as `Authorization: Bearer KEY`",
        )


def receiver_right(path: str) -> Right:
    """What a path of the receiver needs: signals are sent, all else tells of them."""
    return "write" if path.startswith("/v1") else "read"


def came_from_elsewhere(headers: dict[bytes, str]) -> bool:
    """Whether a browser says that a page of another origin caused this request; programs say nothing."""
    site = headers.get(b"sec-fetch-site", "")
    if site:
        return site not in ("same-origin", "none")
    origin = headers.get(b"origin", "")
    return bool(origin) and urlsplit(origin).netloc.lower() != headers.get(b"host", "").lower()


def is_local_name(host: str, names: Iterable[str] = ()) -> bool:
    """Whether *host*, a Host header, is a name of the machine itself, or one of *names*."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    return name in _LOCAL_NAMES or name.endswith(".localhost") or name in names or is_loopback(name)


def is_loopback(host: str) -> bool:
    """Whether what listens on *host* can be reached from its own machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def plain_answer(_: Request, error: RefusedRequest) -> Response:
    """A refusal in plain words."""
    return PlainTextResponse(f"{error}\n", error.http, refusal_headers(error))


def refusal_headers(error: RefusedRequest) -> dict[str, str]:
    """What HTTP wants said beside a refusal: how to come in, or when to come again."""
    if error.http == 401:
        return {"WWW-Authenticate": 'Bearer realm="driftline"'}
    wait = getattr(error, "retry_after", 2.0 if error.http == 503 else None)
    return {"Retry-After": str(max(1, -int(-wait // 1)))} if wait is not None else {}
