"""Each page answers, says what matters, and has a JSON twin that says the same."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from samples import HOSTILE, duplicate, partial, possible, stale

from driftline.collector.store import Store

PAGES = [
    "/",
    "/?since=24h",
    "/runs",
    "/runs?workflow=trip&severity=error&sort=duration&order=asc",
    "/runs/dup",
    "/runs/stale",
    "/runs/synthetic",
    "/runs/partial?span=x-y",
    "/findings",
    "/findings?severity=error",
    f"/findings/{duplicate().id}",
    f"/findings/{duplicate().id}/dup",
    f"/findings/{stale().id}/stale",
    f"/findings/{partial().id}/partial",
    f"/findings/{possible().id}/clean3",
]


class Inline(HTMLParser):
    """Collects what a strict content policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [name for name in names if name == "style" or name.startswith(("on", "hx-on"))]


def twin_of(html: str) -> str:
    found = re.search(r'<link rel="alternate" type="application/json" href="([^"]+)"', html)
    assert found, "the page names no JSON twin"
    return found[1].replace("&amp;", "&")


@pytest.mark.parametrize("address", PAGES)
def test_every_page_is_html_and_names_a_json_twin_that_answers(client: TestClient, address: str) -> None:
    page = client.get(address)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    twin = client.get(twin_of(page.text))
    assert twin.status_code == 200
    assert isinstance(twin.json(), dict)


@pytest.mark.parametrize("address", PAGES)
def test_a_client_that_accepts_json_gets_the_twin_at_the_same_address(client: TestClient, address: str) -> None:
    twin = client.get(twin_of(client.get(address).text)).json()
    same = client.get(address, headers={"Accept": "application/json"}).json()
    assert same.keys() == twin.keys()


@pytest.mark.parametrize("address", PAGES)
def test_no_page_needs_inline_script_or_style(client: TestClient, address: str) -> None:
    page = client.get(address)
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    inline = Inline()
    inline.feed(page.text)
    assert inline.found == []


@pytest.mark.parametrize("address", PAGES)
def test_every_page_shows_the_sql_behind_it(client: TestClient, address: str) -> None:
    assert "The SQL behind this page" in client.get(address).text


def test_the_overview_leads_with_how_many_runs_went_wrong(client: TestClient) -> None:
    twin = client.get("/overview.json").json()
    assert twin["verdict"]["tone"] == "fail"
    assert twin["verdict"]["sentence"] == "3 of 11 runs went wrong, with proof."
    assert [group["severity"] for group in twin["groups"]] == ["error", "error", "error", "warning"]


def test_a_rate_names_its_denominator_the_runs_of_that_workflow(client: TestClient) -> None:
    groups = {group["id"]: group for group in client.get("/overview.json").json()["groups"]}
    assert (groups[duplicate().id]["runs"], groups[duplicate().id]["of_runs"]) == (1, 9)
    assert "<b>1</b> of 9 runs" in client.get("/").text


def test_what_could_not_be_judged_is_on_the_overview(client: TestClient) -> None:
    told = {entry["reason"]: entry for entry in client.get("/overview.json").json()["not_judged"]}
    assert told["not part of this version of driftline"]["detectors"] == ["policy", "timing_drift"]
    assert told["2 reads carry no version"]["runs"] == 1


def test_the_counters_of_the_collector_are_shown(client: TestClient) -> None:
    assert client.get("/overview.json").json()["ingest"]["counters"] == {"requests": 7}


def test_the_run_list_filters_sorts_and_pages(client: TestClient) -> None:
    def ids(query: str) -> list[str]:
        return [run["run_id"] for run in client.get(f"/runs.json?{query}").json()["runs"]]

    assert set(ids("severity=error")) == {"dup", "stale", "partial"}
    assert ids("workflow=imported") == ["synthetic"]
    assert "clean0" in ids("agent=researcher")
    assert "dup" not in ids("agent=researcher")
    assert ids("text=CLEAN3") == ["clean3"]
    by_length = [run["duration_ns"] for run in client.get("/runs.json?sort=duration&order=asc").json()["runs"]]
    assert by_length == sorted(by_length)
    assert ids("page=2") == []


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("sort=colour", "sort=colour"),
        ("status=great", "status=great"),
        ("page=-1", "page=-1"),
        ("page=99999999999999999999", "page=9999"),
        ("page=" + "9" * 5000, "page=9999"),
        ("since=1y", "since=1y"),
        ("workflo=trip", "workflo"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_by_name(client: TestClient, query: str, named: str) -> None:
    page = client.get(f"/runs?{query}")
    assert page.status_code == 400
    assert named in page.text
    assert named in client.get(f"/runs.json?{query}").json()["detail"]


@pytest.mark.parametrize(
    "address",
    [
        "/runs/nobody",
        "/findings/XX-00000000",
        f"/findings/{duplicate().id}/clean0",
        "/nowhere",
        "/static/none.js",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/runs/dup/spans/aa/bb",
        "/runs/dup/rows?under=aa-bb",
    ],
)
def test_what_is_not_there_is_said_with_a_way_on(client: TestClient, address: str) -> None:
    page = client.get(address)
    assert page.status_code == 404
    assert 'href="/findings"' in page.text
    told = client.get(address, headers={"Accept": "application/json"})
    assert told.status_code == 404
    assert told.json()["error"]


def test_a_run_shows_all_its_traces_in_one_tree(client: TestClient) -> None:
    run = client.get("/runs/clean0.json").json()
    assert run["run"]["traces"] == 2
    rows = run["rows"]
    assert [row["at"]["level"] for row in rows].count(1) == 1, "the second trace hangs under the message that began it"
    received = next(row for row in rows if row["name"] == "process research")
    assert received["at"]["linked"]


def test_attempts_of_a_call_are_one_row_that_opens(client: TestClient) -> None:
    rows = client.get("/runs/clean0.json").json()["rows"]
    folded = next(row for row in rows if row["at"]["fold"] == "call")
    assert folded["notes"][:2] == [["2 attempts", ""], ["Timeout \u2192 ok", ""]]
    below = client.get("/runs/clean0/rows.json", params={"under": folded["at"]["key"]}).json()["rows"]
    assert [row["notes"][0][0] for row in below] == ["attempt 1/3", "attempt 2/3"]


def test_five_equal_siblings_are_one_row_with_their_count(client: TestClient) -> None:
    rows = client.get("/runs/dup.json").json()["rows"]
    folded = next(row for row in rows if row["at"]["fold"] == "same")
    assert (folded["name"], folded["at"]["children"]) == ("execute_tool ping", 6)


def test_findings_are_marked_on_their_spans_and_their_folds_are_open(client: TestClient) -> None:
    rows = client.get("/runs/dup.json").json()["rows"]
    roles = [mark["role"] for row in rows for mark in row["marks"]]
    assert roles == ["first", "second"]


def test_a_deep_link_opens_the_way_to_a_folded_span_and_shows_its_payload(client: TestClient) -> None:
    shut = client.get("/runs/clean0.json").json()["rows"]
    folded = next(row for row in shut if row["at"]["fold"] == "call")
    below = client.get("/runs/clean0/rows.json", params={"under": folded["at"]["key"]}).json()["rows"]
    key = f"{below[1]['trace_id']}-{below[1]['span_id']}"
    page = client.get("/runs/clean0.json", params={"span": key}).json()
    assert key in [row["at"]["key"] for row in page["rows"]]
    assert page["selected"]["span_id"] == below[1]["span_id"]
    assert page["gone"] == ""


def test_a_span_that_is_gone_leaves_a_banner_and_the_run(client: TestClient) -> None:
    page = client.get("/runs/dup?span=00-11")
    assert page.status_code == 200
    assert "is not in this run any more" in page.text
    assert "book_flight" in page.text


def test_lists_and_waterfalls_read_no_payloads(client: TestClient) -> None:
    for address in ("/", "/runs", "/findings", "/runs/dup"):
        assert "otel_traces" not in client.get(address).text


def test_made_up_clocks_give_order_and_no_durations(client: TestClient) -> None:
    page = client.get("/runs/synthetic")
    assert "shows order only" in page.text
    twin = client.get("/runs/synthetic.json").json()
    assert twin["run"]["duration_ns"] is None
    assert all(row["at"]["duration_ns"] is None for row in twin["rows"])


def test_a_span_carries_its_payload_events_and_attributes(client: TestClient) -> None:
    span = duplicate().spans[1]
    part = client.get(f"/runs/dup/spans/{span.trace_id}/{span.span_id}", headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert "ZX81" in part.text
    detail = client.get(f"/runs/dup/spans/{span.trace_id}/{span.span_id}.json").json()["span"]
    assert {value["name"] for value in detail["content"]} == {"gen_ai.tool.call.arguments", "gen_ai.tool.call.result"}


def test_a_long_value_is_cut_on_the_page_and_whole_in_json(client: TestClient) -> None:
    span = "/runs/x/spans/" + "a" * 32 + "/" + "b" * 16
    assert "x" * 20_001 not in client.get(span).text
    assert "50\u202f000 bytes in all" in client.get(span).text
    values = client.get(span + ".json").json()["span"]["attributes"]
    assert next(value for value in values if value["name"] == "long")["text"] == "x" * 50_000


def test_a_duplicate_shows_both_executions_with_what_differs_first(client: TestClient) -> None:
    view = client.get(f"/findings/{duplicate().id}/dup.json").json()["evidence"]["view"]
    states = [line["state"] for line in view["arguments"]]
    assert states == ["changed", "only_left", "only_right", "same", "same"]
    assert [fact["name"] for fact in view["facts"] if not fact["same"]] == ["attempt", "started"]
    page = client.get(f"/findings/{duplicate().id}/dup").text
    assert 'Repeated by <bdi dir="auto">a retry after Timeout</bdi>.' in page
    assert "agents/booking.py" in page
    for span in duplicate().spans:
        assert f"span={span.trace_id}-{span.span_id}" in page


def test_a_stale_read_shows_the_version_seen_and_the_one_missed(client: TestClient) -> None:
    graph = client.get(f"/findings/{stale().id}/stale.json").json()["evidence"]["view"]["graph"]
    assert [version["version"] for version in graph["versions"]] == ["v1", "v2"], "ancestors first"
    assert {edge["kind"] for edge in graph["edges"]} == {"lineage", "seen", "missed"}
    assert graph["reader"]["agent"] == "writer"
    page = client.get(f"/findings/{stale().id}/stale").text
    assert "seq.end 4 &lt; seq 5" in page
    assert "message: sent before it was taken" in page


def test_a_partial_completion_shows_the_expected_course_with_what_is_missing(client: TestClient) -> None:
    view = client.get(f"/findings/{partial().id}/partial.json").json()["evidence"]["view"]
    assert [(step["name"], step["said"]) for step in view["course"]] == [
        ("book_flight", "done"),
        ("price", "failed"),
        ("reviewer", "never happened"),
    ]


def test_a_finding_without_evidence_and_with_lost_spans_still_has_a_page(client: TestClient) -> None:
    page = client.get(f"/findings/{possible().id}/clean3").text
    assert "no longer in the store" in page
    assert "12.5" in page


def test_the_finding_in_json_is_what_check_prints(client: TestClient) -> None:
    assert client.get(f"/findings/{stale().id}/stale.json").json()["finding"] == stale().to_json()


def test_no_text_from_a_span_becomes_markup(client: TestClient) -> None:
    run = quote(HOSTILE, safe="")
    twin = client.get("/findings.json?severity=info").json()["groups"]
    addresses = [
        "/", "/runs", "/findings", f"/runs/{run}", f"/findings/{twin[0]['id']}", f"/findings/{twin[0]['id']}/{run}",
        f"/runs/{run}/spans/{'a' * 32}/{'b' * 16}", f"/runs/{run}/rows", f"/runs?text={run}", f"/runs?workflow={run}",
        f"/runs?sort={run}", f"/runs/{run}nobody", f"/runs/{run}?span={run}", f"/findings?text={run}",
    ]  # fmt: skip
    for address in addresses:
        page = client.get(address)
        assert page.status_code in (200, 400, 404), address
        assert "<script>alert" not in page.text, address
        assert "<img src=x" not in page.text, address
        assert "49" not in re.findall(r"\{\{.*?\}\}|exe (\d\d)", page.text), address
    assert "&lt;script&gt;alert(1)" in client.get(f"/runs/{run}").text


def test_run_ids_with_slashes_and_dots_have_pages(client: TestClient, store: Store) -> None:
    run = client.get(f"/runs/{quote(HOSTILE, safe='')}.json").json()
    assert run["run"]["run_id"] == HOSTILE
    assert client.get(f"/findings/{twin_id(client)}/{quote(HOSTILE, safe='')}.json").status_code == 200


def twin_id(client: TestClient) -> str:
    return str(client.get("/findings.json?severity=info").json()["groups"][0]["id"])


def test_static_files_are_addressed_by_content_and_kept(client: TestClient) -> None:
    page = client.get("/").text
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(addresses) >= 10
    for address in addresses:
        assert re.search(r"\?v=[0-9a-f]{12}$", address)
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page), "everything comes from here"
