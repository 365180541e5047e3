"""In a real browser: big runs stay small, keys work, themes apply, nothing complains."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator

import browser as headless
import histories
import pytest
import samples
import uvicorn

from driftline.collector.store import Store
from driftline.web import create_app
from driftline.web.waterfall import MOST_ROWS

pytestmark = pytest.mark.browser

BIG = 30_000


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a server over the samples and a run of 30,000 spans."""
    store: Store = histories.fresh_store()
    store.insert_requests(histories.framed([samples.big_request(BIG)]), secrets.token_hex(8))
    samples.fill(store)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(store), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def tab() -> Iterator[headless.Browser]:
    """A tab; without a browser the tests are skipped, except in CI, where that is a failure."""
    program = headless.find()
    if program is None:
        assert os.environ.get("CI") != "true", "CI needs chromium for these tests"
        pytest.skip("no chromium here")
    with headless.Browser(program) as found:
        found.size(1280, 900)
        yield found


@pytest.fixture(autouse=True)
def no_complaints(tab: headless.Browser) -> Iterator[None]:
    """No test may leave a script error or a violation of the content policy behind."""
    tab.complaints.clear()
    tab.scheme("light")
    yield
    assert tab.complaints == []


def pages() -> list[str]:
    return [
        "/", "/runs", "/findings", "/runs/dup", "/runs/stale", "/runs/synthetic", "/runs/partial?span=a-b",
        f"/findings/{samples.duplicate().id}", f"/findings/{samples.duplicate().id}/dup",
        f"/findings/{samples.stale().id}/stale", f"/findings/{samples.partial().id}/partial",
    ]  # fmt: skip


@pytest.mark.parametrize("path", pages())
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_window(tab: headless.Browser, address: str, path: str, width: int) -> None:
    tab.size(width, 900)
    tab.open(address + path)
    assert tab.ask("document.documentElement.scrollWidth") <= width
    tab.size(1280, 900)


def test_a_run_of_30000_spans_sends_few_rows_and_grows_on_demand(tab: headless.Browser, address: str) -> None:
    began = time.monotonic()
    tab.open(address + "/runs/big")
    rows = tab.ask("document.querySelectorAll('.tree .row[data-row]').length")
    assert 30 < rows <= MOST_ROWS
    assert time.monotonic() - began < 15, "generous: the machine of a test may be busy"
    tab.ask("document.querySelector('[data-row][aria-expanded=false]').focus()")
    tab.press("l")
    tab.wait(f"document.querySelectorAll('.tree .row[data-row]').length > {rows}")
    assert tab.ask("document.activeElement.getAttribute('aria-expanded')") == "true"
    level = tab.ask("document.activeElement.getAttribute('aria-level')")
    assert tab.ask("document.activeElement.nextElementSibling.getAttribute('aria-level')") == str(int(level) + 1)
    tab.press("h")
    assert tab.ask("document.activeElement.nextElementSibling.hidden")
    tab.press("l")
    assert not tab.ask("document.activeElement.nextElementSibling.hidden")


def test_a_deep_link_into_a_big_run_shows_the_span(tab: headless.Browser, address: str) -> None:
    trace = samples.big_request(2).resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
    key = f"{trace}-{BIG - 10:016x}"
    tab.open(f"{address}/runs/big?span={key}")
    assert tab.ask("document.querySelector('.is-selected').id") == f"s-{key}"
    assert tab.ask("document.querySelector('.is-selected').getBoundingClientRect().top < innerHeight")
    assert "execute_tool" in tab.ask("document.querySelector('#panel').textContent")


def test_j_and_k_walk_the_rows_and_n_the_findings(tab: headless.Browser, address: str) -> None:
    tab.open(address + "/runs/dup")
    tab.press("j", "j", "j")
    assert tab.ask("document.activeElement.getAttribute('aria-level')") == "3"
    tab.press("k")
    assert tab.ask("document.activeElement.getAttribute('aria-level')") == "2"
    tab.press("n")
    assert "first" in tab.ask("document.activeElement.textContent")
    tab.press("n")
    assert "second" in tab.ask("document.activeElement.textContent")
    tab.press("p")
    assert "first" in tab.ask("document.activeElement.textContent")


def test_enter_opens_the_payload_in_the_panel_and_the_address_says_so(tab: headless.Browser, address: str) -> None:
    tab.open(address + "/runs/dup")
    tab.press("n", "n", "Enter")
    tab.wait("document.querySelector('#panel').textContent.includes('ZX81')")
    assert "span=" in tab.ask("location.search")
    tab.press("Escape")
    assert tab.ask("location.search") == ""
    assert tab.ask("document.querySelector('#panel').childElementCount") == 0


def test_question_mark_lists_the_keys_and_slash_goes_to_the_filter(tab: headless.Browser, address: str) -> None:
    tab.open(address + "/runs")
    tab.press("?")
    assert tab.ask("document.querySelector('#help').open")
    tab.press("?")
    assert not tab.ask("document.querySelector('#help').open")
    tab.press("/")
    assert tab.ask("document.activeElement.name") == "text"
    assert tab.ask("document.activeElement.value") == "", "the key itself is not typed"


def test_enter_on_a_run_opens_it(tab: headless.Browser, address: str) -> None:
    tab.open(address + "/runs?text=dup")
    tab.press("j", "Enter")
    tab.wait("location.pathname === '/runs/dup' && document.readyState === 'complete'")


def test_the_system_scheme_applies_and_the_toggle_outlives_the_page(tab: headless.Browser, address: str) -> None:
    def background() -> str:
        return str(tab.ask("getComputedStyle(document.body).backgroundColor"))

    tab.open(address + "/")
    light = background()
    tab.scheme("dark")
    dark = background()
    assert light != dark
    tab.press("t")
    assert background() == light
    tab.open(address + "/runs")
    assert background() == light
    tab.ask("localStorage.clear()")
    tab.open(address + "/runs")
    assert background() == dark


def test_hostile_text_runs_no_script(tab: headless.Browser, address: str) -> None:
    tab.open(address + "/")
    tab.open(address + "/findings?severity=info")
    tab.ask("document.querySelector('a.proof').click()")
    tab.wait("location.pathname.startsWith('/findings/DE-') && document.readyState === 'complete'")
    assert tab.ask("document.querySelectorAll('main img').length") == 0
    tab.ask("document.querySelector('.proofs a').click()")
    tab.wait("location.pathname.startsWith('/runs/') && document.querySelector('#panel') !== null")
    assert tab.ask("document.querySelectorAll('main img, main script').length") == 0


def test_without_javascript_a_run_can_be_read_and_opened(tab: headless.Browser, address: str) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(address + "/runs/clean0")
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
        link = tab.ask("document.querySelector('[aria-expanded=false] a.twist').href")
        tab.call("Emulation.setScriptExecutionDisabled", value=True)
        tab.open(link)
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
        assert "attempt 1/3" in tab.ask("document.querySelector('.tree').textContent")
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
