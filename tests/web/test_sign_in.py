"""Signing in with a key: the cookie, what ends it, and where one lands."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from http.cookies import SimpleCookie
from typing import Any

import browser as headless
import pytest
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient
from serving_apps import listening
from two_projects import MINE, THEIRS, World, world

from driftline.collector.access import make_key
from driftline.web.sign_in import local_path

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def us() -> Iterator[World]:
    """A server that wants keys, with two projects."""
    with world() as found:
        yield found


@pytest.fixture
def browser(us: World) -> TestClient:
    """A browser that has been nowhere yet."""
    return TestClient(us.web, base_url="http://localhost", follow_redirects=False, headers=HTML)


def sign_in(browser: TestClient, key: str, goal: str = "") -> None:
    answer = browser.post("/sign-in", data={"key": key, "next": goal})
    assert answer.status_code == 303, answer.text


def test_a_page_asks_for_a_key_and_leads_back(us: World, browser: TestClient) -> None:
    """401 with a form, no redirect that would lose where one wanted to go."""
    goal = f"/p/{MINE}/runs?since=7d"
    asked = browser.get(goal)
    assert asked.status_code == 401
    assert re.search(r'name="next" value="/p/alpha/runs\?since=7d"', asked.text)
    answer = browser.post("/sign-in", data={"key": f" {us.keys[MINE, 'viewer']}\n", "next": goal})
    assert (answer.status_code, answer.headers["location"]) == (303, goal)
    shown = browser.get(goal)
    assert shown.status_code == 200
    assert "Sign out" in shown.text


def test_the_cookie_is_not_the_key(us: World, browser: TestClient) -> None:
    """Scripts cannot read it, other sites cannot send it, it travels by TLS alone where there is TLS."""
    key = us.keys[MINE, "viewer"]
    for scheme in ("http", "https"):
        secure = TestClient(us.web, base_url=f"{scheme}://localhost", follow_redirects=False)
        said = secure.post("/sign-in", data={"key": key}).headers["set-cookie"]
        cookie = SimpleCookie(said)["driftline_session"]
        assert key.rpartition("_")[2] not in said
        assert cookie["httponly"]
        assert cookie["samesite"].lower() == "strict"
        assert bool(cookie["secure"]) == (scheme == "https")
        assert cookie["path"] == "/"
    sign_in(browser, key)
    assert browser.post("/sign-out").status_code == 303
    assert browser.get(f"/p/{MINE}/runs").status_code == 401


def test_a_session_reads_and_nothing_else(us: World, browser: TestClient) -> None:
    """A stolen cookie of an admin sends nothing."""
    sign_in(browser, us.keys[MINE, "admin"])
    session = browser.cookies["driftline_session"]
    receiver = TestClient(us.receiver, base_url="http://localhost")
    assert receiver.post("/v1/traces", headers={"Authorization": f"Bearer {session}"}).status_code == 401


def test_a_session_ends_with_its_key(us: World, browser: TestClient) -> None:
    """Revoked, it opens nothing any more, at once."""
    secret, key = make_key("viewer", (MINE,))
    with us.access.changing() as found:
        us.access.write(replace(found, keys=(*found.keys, key)))
    sign_in(browser, secret)
    assert browser.get(f"/p/{MINE}/runs").status_code == 200
    with us.access.changing() as found:
        us.access.write(replace(found, keys=tuple(one for one in found.keys if one.id != key.id)))
    assert browser.get(f"/p/{MINE}/runs").status_code == 401


def test_a_session_cannot_be_made_up(us: World, browser: TestClient) -> None:
    """Neither another's, nor one that lasts longer; and it ends by itself."""
    sign_in(browser, us.keys[MINE, "viewer"])
    session = browser.cookies["driftline_session"]
    head, key_id, until, seal = re.fullmatch(r"(driftline_session)_(\w{10})_(\d+)_(\w+)", session).groups()  # type: ignore[union-attr]
    assert time.time() + 6 * 86_400 < int(until) < time.time() + 8 * 86_400
    other = us.access.read().find(us.keys[THEIRS, "viewer"], 0)
    assert other is not None
    for forged in (
        f"{head}_{key_id}_{int(until) + 1}_{seal}", f"{head}_{other.id}_{until}_{seal}",
        f"{head}_{key_id}_{until}_{'0' * 64}", f"{head}_{key_id}_1_{seal}",
    ):  # fmt: skip
        answer = browser.get(f"/p/{MINE}/runs", headers={"Cookie": f"driftline_session={forged}"})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "key", ["", "no-such-key", "driftline_viewer_aaaaaaaaaa_" + "a" * 40, "<script>alert(1)</script>", "é" * 900]
)
def test_a_wrong_key_is_told_so(browser: TestClient, key: str) -> None:
    """On the page, and nothing of it is repeated there."""
    answer = browser.post("/sign-in", data={"key": key, "next": "/runs"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text
    assert not key or key not in answer.text
    assert browser.post("/sign-in", content=b"key=" + b"x" * 100_000).status_code == 401


def test_a_key_that_only_sends_does_not_sign_in(us: World, browser: TestClient) -> None:
    """It says why."""
    answer = browser.post("/sign-in", data={"key": us.keys[MINE, "ingest"]})
    assert answer.status_code == 403
    assert "role ingest" in answer.text


@pytest.mark.parametrize(
    "goal",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil", "javascript:alert(1)", "/\t/evil", "evil",
     "", "/\r\nSet-Cookie: a=b", "/sign-out", "/x\\..\\y"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_after_signing_in(us: World, browser: TestClient, goal: str) -> None:
    """`next` is a path of this server, or it is nothing."""
    assert local_path(goal) == "/"
    answer = browser.post("/sign-in", data={"key": us.keys[MINE, "viewer"], "next": goal})
    assert answer.headers["location"] == "/"


def test_one_lands_in_ones_own_project(us: World, browser: TestClient) -> None:
    """The bare address leads there; a link into another project is refused, not turned into something else."""
    sign_in(browser, us.keys[MINE, "viewer"])
    for path in ("/", "/runs", "/findings"):
        assert browser.get(path).headers["location"] == f"/p/{MINE}{path}"
    assert browser.get(f"/p/{MINE}").headers["location"] == f"/p/{MINE}/"
    assert browser.get(f"/p/{THEIRS}/runs").status_code == 403
    assert browser.get("/findings/SC-00000000").status_code == 403


def test_links_stay_in_the_project(us: World, browser: TestClient) -> None:
    """Every link of every page one reaches, so that a copied address means the same to a colleague."""
    sign_in(browser, us.keys[MINE, "viewer"])
    todo, seen = [f"/p/{MINE}/"], set()
    while todo and len(seen) < 60:
        path = todo.pop()
        seen.add(path)
        page = browser.get(path)
        assert page.status_code == 200, path
        for link in re.findall(r'(?:href|hx-get|action)="([^"#]*)', page.text):
            link = link.replace("&amp;", "&")  # noqa: PLW2901
            if link.startswith(("/static/", "/sign-")) or not link:
                continue
            assert link.startswith(f"/p/{MINE}/"), (path, link)
            if link not in seen:
                todo.append(link)
    assert len(seen) > 8


def test_a_key_of_several_projects_changes_between_them(us: World, browser: TestClient) -> None:
    """Links to each in the head of the page."""
    secret, key = make_key("viewer", (MINE, THEIRS))
    with us.access.changing() as found:
        us.access.write(replace(found, keys=(*found.keys, key)))
    sign_in(browser, secret)
    page = browser.get(f"/p/{MINE}/runs").text
    assert f'href="/p/{THEIRS}/"' in page
    assert us.markers[MINE] in page
    assert us.markers[THEIRS] in browser.get(f"/p/{THEIRS}/runs").text


def test_a_link_from_elsewhere_works_for_who_is_signed_in(browser: TestClient) -> None:
    """A browser keeps a strict cookie back on the way from another site: the page loads itself once more."""
    asked = browser.get(f"/p/{MINE}/runs", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert asked.status_code == 401
    assert '<meta http-equiv="refresh" content="0">' in asked.text
    assert "http-equiv" not in browser.get(f"/p/{MINE}/runs", headers={"Sec-Fetch-Site": "same-origin"}).text


def test_a_panel_that_loads_itself_is_led_to_the_form(browser: TestClient) -> None:
    """htmx would show nothing of a 401."""
    answer = browser.get(f"/p/{MINE}/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, f"/sign-in?next=/p/{MINE}/")


def test_a_real_browser_signs_in_and_follows_links_from_elsewhere(us: World) -> None:
    """The form works under its content policy; a strict cookie survives a link from another site."""
    program = headless.find()
    if program is None:
        assert os.environ.get("CI") != "true", "CI needs chromium for these tests"
        pytest.skip("no chromium here")
    with listening(us.web) as address, listening(elsewhere) as other, headless.Browser(program) as tab:
        home = address.replace("127.0.0.1", "localhost")
        goal = f"{home}/p/{MINE}/runs"
        tab.open(goal)
        tab.complaints.clear()  # 401 is what a browser complains of
        tab.ask(f"document.querySelector('input[name=key]').value = '{us.keys[MINE, 'viewer']}'")
        tab.ask("document.querySelector('form[action=\"/sign-in\"]').submit()")
        tab.wait(f"location.href === '{goal}' && document.body?.textContent.includes('{us.markers[MINE]}')")
        assert tab.ask("document.cookie") == ""
        assert tab.complaints == []
        tab.open(f"{other}/?{goal}")  # a page of 127.0.0.1, which is another site than localhost
        tab.ask("document.querySelector('a').click()")
        tab.wait(f"document.body?.textContent.includes('{us.markers[MINE]}')")
        tab.ask("document.querySelector('form[action=\"/sign-out\"] button').click()")
        tab.wait("location.pathname === '/sign-in'")
        tab.open(goal)
        assert "Sign in" in tab.ask("document.querySelector('h1').textContent")


async def elsewhere(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """A page of another site with a link to the address in its query."""
    if scope["type"] == "http":
        page = HTMLResponse(f'<a href="{scope["query_string"].decode()}">look</a>')
        await page(scope, receive, send)
