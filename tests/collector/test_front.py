"""What stands before every app: names, ways, other sites, and the door."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from otlp_requests import request, span
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from two_projects import MINE, World, world

from driftline.collector.access import make_key
from driftline.collector.front import Front, is_local_name, is_loopback, plain_answer

BODY = request(span("here")).SerializeToString()
PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def us() -> Iterator[World]:
    """A server that listens on loopback: its machine needs no key."""
    with world(keyless=True) as found:
        yield found


def local(app: Any) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1:4318", follow_redirects=False)


def send(us: World, **headers: str) -> int:
    return local(us.receiver).post("/v1/traces", content=BODY, headers={**PROTOBUF, **headers}).status_code


def test_this_machine_needs_no_key(us: World) -> None:
    """It enters `default`: sends, reads pages, asks the interface. A key that is given must be good all the same."""
    assert send(us) == 200
    assert local(us.web).get("/runs").status_code == 200
    assert local(us.interface).post("/", content="SELECT currentDatabase()").text == "default\n"
    for app, path in ((us.receiver, "/v1/traces"), (us.web, "/runs.json"), (us.interface, "/?query=SELECT+1")):
        ask = local(app).post if app is us.receiver else local(app).get
        assert ask(path, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_an_empty_key_is_not_no_key(us: World) -> None:
    """`Bearer $KEY` with KEY not set must not land in `default`; a user without a password is no key at all."""
    assert [send(us, Authorization=said) for said in ("Bearer", "Bearer ", "Basic !", "Token")] == [401] * 4
    for auth, answer in (("default", 200), (us.keys[MINE, "viewer"], 200), ("driftline_viewer_x", 401)):
        assert local(us.interface).post("/", content="SELECT 1", auth=(auth, "")).status_code == answer
    assert local(us.interface).post("/", content="SELECT 1", headers={"X-ClickHouse-User": "default"}).text == "1\n"


def test_named_projects_are_entered_with_a_key(us: World) -> None:
    """On this machine, too."""
    assert local(us.web).get(f"/p/{MINE}/runs.json").status_code == 401
    assert local(us.web).get(f"/p/{MINE}/runs.json", headers=us.key(MINE, "viewer")).status_code == 200


@pytest.mark.parametrize(
    ("host", "answer"),
    [("localhost", 200), ("LOCALHOST:4318", 200), ("127.0.0.1", 200), ("127.8.9.1:1", 200), ("[::1]:4318", 200),
     ("localhost.", 200), ("me.localhost", 200), ("evil.example", 421), ("127.0.0.1.evil.example", 421),
     ("localhost.evil.example", 421), ("192.168.1.7", 421), ("[::", 421), ("", 421), ("169.254.169.254", 421)],
)  # fmt: skip
def test_a_name_that_was_made_to_lead_here_is_refused(us: World, host: str, answer: int) -> None:
    """DNS rebinding: a page of `evil.example` whose name suddenly means this machine."""
    assert send(us, Host=host) == answer
    assert local(us.web).get("/runs", headers={"Host": host}).status_code == answer
    assert local(us.interface).get("/?query=SELECT+1", headers={"Host": host}).status_code == answer


def test_other_names_are_allowed_by_the_operator() -> None:
    """`--allow-host`."""
    assert is_local_name("build-7:4318", ("build-7",))
    assert not is_local_name("build-8:4318", ("build-7",))
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "10.0.0.1", "x")] == [
        True, True, True, False, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto"])
def test_what_came_through_a_proxy_is_not_this_machine(us: World, header: str) -> None:
    """Whoever puts a proxy before a server on loopback does not open it to the world by that."""
    assert send(us, **{header: "1.2.3.4"}) == 401
    assert local(us.web).get("/runs.json", headers={header: "1.2.3.4"}).status_code == 401
    assert local(us.web).get("/runs.json", headers={header: "1", **us.key(MINE, "viewer")}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:9999"}],
)  # fmt: skip
def test_no_other_site_sends_through_its_visitors_browser(us: World, headers: dict[str, str]) -> None:
    """Nothing that changes anything is taken from a page of another origin, whatever it is."""
    assert send(us, **headers) == 403
    assert local(us.web).post("/sign-in", data={"key": us.keys[MINE, "viewer"]}, headers=headers).status_code == 403
    assert local(us.web).post("/sign-out", headers=headers).status_code == 403


def test_other_sites_may_link_here_but_load_nothing(us: World) -> None:
    """A link is followed; an image, a script or a fetch of another site gets nothing."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    load = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert local(us.web).get("/runs", headers=link).status_code == 200
    assert local(us.web).get("/runs.json", headers=load).status_code == 403
    assert local(us.interface).get("/?query=SELECT+sleep(3)", headers=load).status_code == 403
    assert send(us, Origin="http://127.0.0.1:4318") == 200
    assert send(us, **{"Sec-Fetch-Site": "same-origin"}) == 200


def test_every_answer_has_its_headers(us: World) -> None:
    """Refusals and crashes included."""

    async def crash(_: Any) -> None:
        raise RuntimeError("on purpose")

    async def fine(_: Any) -> PlainTextResponse:
        return PlainTextResponse("fine", headers={"Referrer-Policy": "same-origin"})

    app = Front(Starlette(routes=[Route("/crash", crash), Route("/fine", fine)]), us.door, answer=plain_answer)
    tried = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
    answers = [tried.get("/crash"), tried.get("/fine"), tried.get("/", headers={"Host": "x"})]
    assert [answer.status_code for answer in answers] == [500, 200, 421]
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answers[1].headers["Referrer-Policy"] == "same-origin"


def test_quotas_answer_429_and_are_counted(us: World) -> None:
    """With Retry-After; by request and by size; the key of a colleague is not touched."""
    by_count, first = make_key("ingest", (MINE,), requests=1)
    by_size, second = make_key("ingest", (MINE,), size=1)
    with us.access.changing() as found:
        us.access.write(replace(found, keys=(*found.keys, first, second)))
    counted = [send(us, Authorization=f"Bearer {by_count}") for _ in range(12)]
    assert counted == [200] * 10 + [429] * 2
    sized = [send(us, Authorization=f"Bearer {by_size}") for _ in range(3)]
    assert sized == [200, 429, 429]
    answer = local(us.receiver).post(
        "/v1/traces", content=BODY, headers={**PROTOBUF, "Authorization": f"Bearer {by_size}"}
    )
    assert int(answer.headers["Retry-After"]) >= 1
    assert send(us, **us.key(MINE, "ingest")) == 200
    refused = us.projects.get(MINE).collector.stats()["refused"]
    assert (refused["quota: requests"], refused["quota: bytes"]) == (2, 3)
    assert us.door.stats()["QuotaSpent"] == 5


def test_a_damaged_file_refuses_everybody(us: World) -> None:
    """With 503: nobody's fault but ours, exporters come again. Not even this machine is let in."""
    whole = us.access.path.read_bytes()
    us.access.path.write_text("{", encoding="utf-8")
    try:
        for headers in ({}, us.key(MINE, "ingest"), us.key(MINE, "viewer")):
            answer = local(us.receiver).post("/v1/traces", content=BODY, headers={**PROTOBUF, **headers})
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
            assert local(us.web).get("/runs.json", headers=headers).status_code == 503
            assert local(us.web).get("/runs", headers=headers).status_code == 503
            assert local(us.interface).get("/?query=SELECT+1", headers=headers).status_code == 503
    finally:
        us.access.path.write_bytes(whole)
    assert send(us) == 200
