"""What a program recorded is text: on no page does any of it become markup, script, style, address or SQL."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote, urlsplit

import browser as headless
import histories
import pytest
from fastapi.testclient import TestClient
from otlp_requests import MS, START, request, span
from serving_apps import listening

from driftline.analyzers import Scope, analyse, persist
from driftline.collector.store import Store
from driftline.web import create_app

PAYLOADS = {
    "script": "<script>window.pwned=1</script>",
    "attribute": "\"'><img src=x onerror=window.pwned=1 style=background:url(/pwned)>",
    "svg": "<svg/onload=window.pwned=1><style>@import '/pwned'</style>",
    "htmx": "<div hx-get=/pwned hx-trigger=load hx-on:load=window.pwned=1 data-hx-get=/pwned></div>",
    "page": "</script></style></textarea></title><base href=//pwned/><meta http-equiv=refresh content='0;url=/pwned'>",
    "form": "<form action=//pwned><button formaction=javascript:window.pwned=1>x</form><iframe srcdoc=x></iframe>",
    "address": "javascript:window.pwned=1//\thttps://pwned/ data:text/html,<script>window.pwned=1</script>",
    "template": "{{7*191}}{% raw %}${7*191}#{7*191}<%= 7*191 %>{{config}}{#",
    "entities": "&lt;script&gt;window.pwned=1&lt;/script&gt;&#60;script&#62;&quot;&amp;",
    "sql": "'; DROP TABLE steps; --\\'/* {x:String} ` \" %s $1 ') OR 1=1 #",
    "path": "../../..//etc/passwd?x=1#y;/spans",
    "control": "a\x01b\x07c\x08d\x1be\x7ff\u0085g\u2028h\u2029i\r\nX-Pwned: 1\r\n\r\nj",
    "bidi": "\u202egnp.exe\u2066\u200f\u061c\ufeff\u200b",
    "surprising": "\ufffe\U0010ffff\ue000e\u0301\u0301\u0301😈\U000e0001\U000e0041",
    "json": '{"__proto__":{"x":1},"a":"</script><script>window.pwned=1</script>","$ne":null}',
    "huge": "<big>" * 40_000,
}
# What our templates are made of. Left out on purpose: img, style, iframe, base, object, embed, video, template …
ELEMENTS = frozenset(
    ("html", "head", "meta", "title", "script", "link", "body", "a", "header", "svg", "path", "nav", "div", "span",
     "main", "section", "h1", "h2", "h3", "p", "b", "button", "form", "label", "input", "select", "option", "table",
     "thead", "tbody", "tr", "th", "td", "ul", "ol", "li", "dl", "dt", "dd", "details", "summary", "pre", "code", "kbd",
     "bdi", "time", "footer", "dialog", "small", "strong", "em", "caption", "rect", "line", "circle", "text", "g",
     "polyline", "aside", "article", "i", "br", "ins", "del", "fieldset", "legend")
)  # fmt: skip


@pytest.fixture(scope="module")
def store() -> Store:
    """A run for each payload, which stands in it wherever a program can put text; judged."""
    found = histories.fresh_store()
    for number, text in enumerate(PAYLOADS.values(), start=1):
        requests = request(*spans(number, text), resource={"service.name": text, text[:200]: text}, scope=text[:500])
        found.insert_requests(histories.framed([requests]), secrets.token_hex(8))
    persist(found, analyse(found, Scope()))
    return found


def spans(number: int, text: str) -> list[object]:
    short = text[:400]
    common = {
        "driftline.run.id": short.replace("\n", " "), "gen_ai.agent.name": short, "gen_ai.conversation.id": short,
        text[:200]: text,
        "code.file.path": short, "code.line.number": 7, "driftline.variant": short,
        "nested": {short: [text, {short: 1}]},
    }  # fmt: skip
    call = {
        **common, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": short, "driftline.call.id": short,
        "gen_ai.tool.call.arguments": text, "gen_ai.tool.call.result": text, "driftline.effect": "write",
        "driftline.effect.outcome": "applied", "driftline.effect.targets": [short], "error.type": short,
    }  # fmt: skip
    memory = {
        **common, "gen_ai.operation.name": "update_memory", "gen_ai.memory.store.id": short,
        "driftline.memory.keys": [short], "driftline.memory.versions": [short], "driftline.memory.parents": ["init"],
    }  # fmt: skip
    first = {"trace": number, "status": "ERROR", "message": text, "events": [(short, {short: text})], "parent": 1}
    return [
        span(short, {**common, "gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": short},
             trace=number, number=1, ms=5000, links=[(number + 1, 3)]),
        span(short, {**call, "driftline.attempt": 1}, number=2, start=START + 10 * MS, **first),
        span(short, {**call, "driftline.attempt": 2}, number=3, start=START + 50 * MS, trace=number, parent=1),
        span(short, memory, number=4, start=START + 90 * MS, trace=number, parent=1),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    """The pages over that store."""
    with TestClient(create_app(store), raise_server_exceptions=False, headers={"Accept": "text/html"}) as found:
        yield found


def pages(store: Store) -> list[str]:
    """Every page that shows any of it."""
    spans = store.rows("SELECT run_id, trace_id, span_id FROM steps FINAL")
    runs = [f"/runs/{quote(row['run_id'], safe='')}" for row in spans]
    found = ["/", "/runs", "/findings", *runs]
    found += [f"{run}/spans/{row['trace_id']}/{row['span_id']}" for run, row in zip(runs, spans, strict=True)]
    for row in store.rows("SELECT DISTINCT fingerprint, occurrence, run_id FROM findings FINAL"):
        found += [f"/findings/{row['fingerprint']}", f"/findings/{row['fingerprint']}/{quote(row['run_id'], safe='')}"]
    return list(dict.fromkeys(found))


class Strict(HTMLParser):
    """Notes whatever only markup of somebody else could have brought."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ELEMENTS:
            self.wrong.append(f"<{tag}>")
        said = dict(attrs)
        if len(said) != len(attrs):
            self.wrong.append(f"<{tag}> says an attribute twice")
        for name, value in attrs:
            if name.startswith(("on", "hx-on", "style", "srcdoc", "formaction")) or not re.fullmatch(
                r"[a-zA-Z:-]+", name
            ):
                self.wrong.append(f"<{tag} {name}>")
            if name in ("href", "src", "action", "hx-get"):
                where = urlsplit(value or "")
                if where.scheme or where.netloc or not (value or "").startswith(("/", "#", "?")):
                    self.wrong.append(f"<{tag} {name}={value!r:.80}>")
        if tag == "script" and not (said.get("src") or "").startswith("/static/"):
            self.wrong.append("an inline script")
        if tag == "meta" and "http-equiv" in said:
            self.wrong.append("<meta http-equiv>")
        if tag == "form" and urlsplit(said.get("action") or "").path not in ("/runs", "/findings", ""):
            self.wrong.append(f"a form to {said.get('action')}")

    def handle_decl(self, decl: str) -> None:
        if decl != "doctype html":
            self.wrong.append(f"<!{decl}>")

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"a comment: {data!r:.40}")


def test_no_page_holds_markup_that_is_not_ours(client: TestClient, store: Store) -> None:
    """Each page is taken apart: elements, attributes and addresses are those of the templates."""
    seen = pages(store)
    assert len([page for page in seen if "/spans/" in page]) == 4 * len(PAYLOADS)
    assert len([page for page in seen if page.startswith("/findings/")]) > len(PAYLOADS), "the runs are found wanting"
    for path in seen:
        for headers in ({}, {"HX-Request": "true"}) if "/spans/" in path else ({},):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 200, path
            strict = Strict()
            strict.feed(answer.text)
            strict.close()
            assert strict.wrong == [], path
            assert "1337" not in answer.text.replace("7*191", ""), "a template in the content was run"
            assert "X-Pwned" not in answer.headers
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert len(answer.content) < 3_000_000


def test_the_twins_are_json_and_say_so(client: TestClient, store: Store) -> None:
    """No browser takes them for a page or a script; nothing of the content is lost on the way."""
    for path in pages(store):
        twin = "/overview.json" if path == "/" else f"{path}.json"
        answer = client.get(twin)
        assert answer.status_code == 200, twin
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer.json()
    names = {row["name"] for row in store.rows("SELECT DISTINCT name FROM steps FINAL")}
    assert {text[:400] for text in PAYLOADS.values()} <= names


@pytest.mark.parametrize("text", [text for name, text in PAYLOADS.items() if name != "huge"])
def test_what_a_visitor_asks_is_text_too(client: TestClient, store: Store, text: str) -> None:
    """In every filter, in every place of a path: found, not found or refused, never run."""
    before = store.value("SELECT count() FROM steps")
    where = quote(text, safe="")
    for path in (
        f"/runs?text={where}", f"/runs?workflow={where}", f"/runs?agent={where}", f"/runs?status={where}",
        f"/findings?text={where}", f"/findings?detector={where}", f"/runs?{where}=1", f"/runs/{where}?span={where}",
        f"/runs/{where}?open={where}", f"/runs/{where}/rows?under={where}", f"/runs/x/spans/{where}/{where}",
        f"/findings/{where}", f"/findings/{where}/{where}", f"/{where}", f"/static/{where}",
    ):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code in (200, 307, 400, 404, 422), (path, answer.status_code)
        strict = Strict()
        strict.feed(answer.text if "html" in answer.headers.get("Content-Type", "") else "")
        assert strict.wrong == [], path
    assert store.value("SELECT count() FROM steps") == before


def test_a_real_browser_runs_nothing_of_it(store: Store) -> None:
    """Chromium opens every page; no script of the content runs, nothing is asked for, no rule had to stop anything."""
    program = headless.find()
    if program is None:
        assert os.environ.get("CI") != "true", "CI needs chromium for these tests"
        pytest.skip("no chromium here")
    asked: list[str] = []
    app = create_app(store)

    async def watched(scope: dict[str, object], receive: object, send: object) -> None:
        asked.append(str(scope.get("path", "")))
        await app(scope, receive, send)  # type: ignore[arg-type]

    with listening(watched) as address, headless.Browser(program) as tab:
        for path in [page for page in pages(store) if "/spans/" not in page]:
            tab.open(address + path)
            if path.startswith("/runs/"):  # a span in the panel, which htmx puts into the page later
                tab.ask("document.querySelector('a[data-open]').click()")
                tab.wait("document.querySelector('#panel').textContent.length > 0")
            assert tab.ask("typeof window.pwned") == "undefined", path
            assert tab.ask("document.querySelectorAll('main script, main style, main iframe, base').length") == 0, path
        assert tab.complaints == []
    assert asked
    assert not [path for path in asked if path.startswith("/pwned")]
