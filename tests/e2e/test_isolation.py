"""A key of one project shows nothing of another, by whatever road; and without a key there is no road at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from two_projects import MINE, THEIRS, World, world

# Paths that say nothing about anybody's spans.
FREE = ("/healthz", "/readyz", "/ping", "/static/{name:path}", "/sign-in", "/sign-out")


@pytest.fixture(scope="module")
def them() -> Iterator[World]:
    """Two projects behind a door that wants a key of everybody."""
    with world() as found:
        yield found


def client(app: Any) -> TestClient:
    return TestClient(app, base_url="http://localhost", follow_redirects=False)


def routes(app: Any) -> list[tuple[str, str]]:
    """Every (method, path template) of an app that stands behind a `Front`, of routers inside it too."""
    found = []
    for route in app._app.routes:
        inner = getattr(getattr(route, "original_router", None), "routes", [route])
        found += [(method, one.path) for one in inner for method in sorted(one.methods or ())]
    return found


def ids(them: World, project: str) -> dict[str, list[str]]:
    """What a curious reader might put into the places of a path, had somebody told them."""
    store = them.store(project)
    spans = store.rows("SELECT trace_id, span_id, run_id FROM steps FINAL LIMIT 3")
    findings = store.rows("SELECT fingerprint, occurrence FROM findings FINAL LIMIT 3")
    assert spans
    assert findings
    runs = sorted({row["run_id"] for row in spans})
    return {
        "run_id": runs, "trace_id": [spans[0]["trace_id"]], "span_id": [spans[0]["span_id"]],
        "finding_id": [findings[0]["fingerprint"]], "occurrence": [str(findings[0]["occurrence"])],
        "": [*runs, findings[0]["fingerprint"], spans[0]["trace_id"]],
    }  # fmt: skip


def filled(template: str, known: dict[str, list[str]]) -> Iterator[str]:
    """*template* with every combination of known values in its places."""
    places = [part.partition("}")[0] for part in template.split("{")[1:]]
    values = [known.get(place.partition(":")[0], known[""]) for place in places]
    for chosen in itertools.product(*values):
        path = template
        for place, value in zip(places, chosen, strict=True):
            path = path.replace(f"{{{place}}}", value, 1)
        yield path


def test_the_apps_have_the_routes_we_think(them: World) -> None:
    """The walk below sees pages with their places, the receiver and the interface."""
    paths = {path for _, path in routes(them.web)}
    assert {"/", "/runs", "/findings", "/runs/{run_id:path}/spans/{trace_id}/{span_id}"} <= paths
    assert ("POST", "/v1/traces") in routes(them.receiver)
    assert ("POST", "/") in routes(them.interface)


@pytest.mark.parametrize("app", ["web", "receiver", "interface"])
def test_without_a_key_every_route_is_401(them: World, app: str) -> None:
    """All methods of all routes, also of those that are added later; and what is no route, and every project."""
    asked = client(getattr(them, app))
    known = ids(them, THEIRS)
    looked = 0
    nowhere = [] if app == "interface" else [("GET", "/nothing/here"), ("POST", "/"), ("PUT", "/runs")]
    for method, template in [*routes(getattr(them, app)), *nowhere]:
        if template in FREE:
            continue
        for path in filled(template, known):
            for prefix in ("", f"/p/{THEIRS}", "/p/nobody") if app == "web" else ("",):
                for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "driftline_session=wrong"}):
                    answer = asked.request(method, prefix + path, headers=headers)
                    assert answer.status_code == 401, (method, prefix + path, headers)
                    assert them.markers[THEIRS] not in answer.text.replace(path, "")
                    looked += 1
    assert looked > 5


def test_no_page_shows_another_projects_marker(them: World) -> None:
    """Every page and twin, with the other's ids, filters and prefix, asked with my key; its owner does see it."""
    asked = client(them.web)
    marker, known = them.markers[THEIRS], ids(them, THEIRS)
    seen = 0
    for method, template in routes(them.web):
        if template in FREE or method != "GET":
            continue
        for path in filled(template, known):
            for where, accept in itertools.product(
                ("", f"/p/{MINE}", f"/p/{THEIRS}"), ("text/html", "application/json")
            ):
                mine = asked.get(where + path, headers={**them.key(MINE, "viewer"), "Accept": accept})
                said = mine.text.replace(path, "").replace(f"no run {marker}", "")
                assert mine.status_code in ((403,) if where == f"/p/{THEIRS}" else (200, 302, 303, 400, 404, 405)), path
                if mine.status_code == 200 or where == f"/p/{THEIRS}":
                    assert marker not in said, (where + path, said)
            theirs = asked.get(path, headers=them.key(THEIRS, "viewer"))
            seen += theirs.status_code == 200 and marker in theirs.text
    assert seen >= 5


def test_the_other_project_is_not_even_named(them: World) -> None:
    """Whether there is a project of that name is nobody's business."""
    asked = client(them.web)
    there = asked.get(f"/p/{THEIRS}/runs.json", headers=them.key(MINE, "viewer"))
    nowhere = asked.get("/p/nobody/runs.json", headers=them.key(MINE, "viewer"))
    assert (there.status_code, there.text.replace(THEIRS, "nobody")) == (nowhere.status_code, nowhere.text)


def test_a_key_does_what_its_role_says(them: World) -> None:
    """Ingest keys send, viewer keys read, admin keys do both; nothing else."""
    for role, sends, reads in (("ingest", True, False), ("viewer", False, True), ("admin", True, True)):
        key = them.key(MINE, role)
        sent = client(them.receiver).post("/v1/traces", headers={**key, "Content-Type": "application/x-protobuf"})
        assert sent.status_code == (200 if sends else 403)
        assert client(them.web).get("/runs.json", headers=key).status_code == (200 if reads else 403)
        assert client(them.interface).post("/", content="SELECT 1", headers=key).status_code == (200 if reads else 403)


def test_what_is_sent_with_a_key_lies_in_its_project(them: World) -> None:
    """And nowhere else."""
    from otlp_requests import request, span

    body = request(span("sent-to-mine", trace=77)).SerializeToString()
    answer = client(them.receiver).post(
        "/v1/traces", content=body, headers={**them.key(MINE, "ingest"), "Content-Type": "application/x-protobuf"}
    )
    assert answer.status_code == 200
    for project in (MINE, THEIRS, "default"):
        them.projects.get(project).collector.flush()
        count = them.store(project).value("SELECT count() FROM steps FINAL WHERE name = 'sent-to-mine'")
        assert count == (project == MINE)


HOSTILE = [
    "SELECT * FROM default_beta.steps",
    "SELECT * FROM `default_beta`.`steps`",
    'SELECT * FROM "default_beta".steps',
    "SELECT * FROM default.steps",
    "SELECT s.run_id FROM steps AS t, default_beta.steps AS s",
    "SELECT * FROM (SELECT run_id FROM default_beta.steps)",
    "WITH x AS (SELECT run_id FROM default_beta.steps) SELECT * FROM x",
    "SELECT (SELECT any(run_id) FROM default_beta.steps)",
    "SELECT run_id FROM steps UNION ALL SELECT run_id FROM default_beta.steps",
    "SELECT * FROM view(SELECT run_id FROM default_beta.steps)",
    "SELECT 'x' IN default_beta.steps",
    "SELECT 'x' IN (SELECT run_id FROM default_beta.steps)",
    "SELECT in(('t', 'r', now64(3)), default_beta.run_traces)",
    "SELECT IN(('t', 'r', now64(3)), default_beta.run_traces)",
    "SELECT `globalNotIn`(('t', 'r', now64(3)), (default_beta.run_traces))",
    "SELECT arrayMap(x -> notNullIn((x, 'r', now64(3)), default_beta.run_traces), ['t'])",
    "SELECT * FROM merge('default_beta', 'steps')",
    "SELECT * FROM merge(REGEXP('default.*'), 'steps')",
    "SELECT * FROM remote('localhost', default_beta.steps)",
    "SELECT * FROM cluster('default', default_beta.steps)",
    "SELECT * FROM loop(default_beta.steps)",
    "SELECT * FROM dictionary('default_beta.steps')",
    "SELECT * FROM mergeTreeIndex('default_beta', 'steps')",
    "SELECT * FROM mergeTreeProjection('default_beta', 'steps', 'p')",
    "SELECT dictGet('default_beta.steps', 'run_id', 1)",
    "SELECT joinGet('default_beta.steps', 'run_id', 1)",
    "SELECT hasColumnInTable('default_beta', 'steps', 'run_id')",
    "DESCRIBE default_beta.steps",
    "DESCRIBE (SELECT * FROM default_beta.steps)",
    "EXISTS default_beta.steps",
    "EXISTS DATABASE default_beta",
    "SHOW CREATE TABLE default_beta.steps",
    "SHOW CREATE default_beta.steps",
    "SHOW CREATE DATABASE default_beta",
    "SHOW PROCESSLIST",
    "SHOW GRANTS",
    "SHOW DICTIONARIES FROM default_beta",
    "EXPLAIN SELECT * FROM default_beta.steps",
    "EXPLAIN ESTIMATE SELECT * FROM default_beta.steps",
    "USE default_beta",
    "SELECT query FROM system.processes",
    "SELECT * FROM system.query_log",
    "SELECT last_error_message FROM system.errors",
    "SELECT * FROM system.mutations",
    "SELECT * FROM system.part_log",
    "SELECT * FROM system.query_cache",
    "SELECT * FROM system.disks",
    "SELECT * FROM system.detached_parts",
    "SELECT run_id SETTINGS implicit_table_at_top_level = 'default_beta.steps'",
    "SELECT 1 SETTINGS additional_result_filter = '1 IN (SELECT 1 FROM default_beta.steps)'",
    "SELECT name FROM system.tables SETTINGS additional_table_filters = {}",
    "SELECT 1 SETTINGS filter = 'run_id IN (SELECT run_id FROM default_beta.steps)'",
    "SELECT 1 SETTINGS dialect = 'prql'",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_the_interface_refuses_tables_of_others(them: World, sql: str) -> None:
    """Whatever a table of another project is dressed as, and whatever would tell of it."""
    answer = client(them.interface).post("/", content=sql, headers=them.key(MINE, "viewer"))
    assert answer.status_code in (400, 403), answer.text
    assert them.markers[THEIRS] not in answer.text


TELLING = [
    "SELECT * FROM system.databases",
    "SELECT database, name, create_table_query FROM system.tables",
    "SELECT * FROM (SELECT database, table FROM system.columns) WHERE database LIKE 'default%'",
    "WITH t AS (SELECT * FROM system.tables AS a) SELECT database, name FROM t",
    "SELECT b.database FROM system.one AS a, system.tables AS b",
    "SELECT database, rows FROM system.parts",
    "SELECT table_schema FROM information_schema.tables",
    "SELECT * FROM INFORMATION_SCHEMA.SCHEMATA",
    "SELECT table_schema, column_name FROM information_schema.columns",
    "SHOW DATABASES",
    "SHOW TABLES FROM default_beta",
    "SHOW COLUMNS FROM steps FROM default_beta",
    "SHOW FULL TABLES FROM default_beta",
]


@pytest.mark.parametrize("sql", TELLING)
def test_what_the_engine_tells_of_databases_is_mine(them: World, sql: str) -> None:
    """No name, no size, no table of another project; the same question of its owner does show it."""
    mine = client(them.interface).post("/", content=sql, headers=them.key(MINE, "viewer"))
    assert mine.status_code == 200, mine.text
    assert "default_beta" not in mine.text
    assert not [line for line in mine.text.splitlines() if line.split("\t")[0] == "default"]
    if "FROM default_beta" in sql:
        assert mine.text == ""
        theirs = client(them.interface).post("/", content=sql, headers=them.key(THEIRS, "viewer"))
        assert theirs.text


def test_the_database_parameter_opens_nothing_else(them: World) -> None:
    """In the address, in a header, by its name or the project's: one's own is fine, others are refused."""
    asked = client(them.interface)
    own = them.key(MINE, "viewer")
    for said in ("default_alpha", "alpha"):
        assert asked.post("/", params={"database": said}, content="SELECT 1", headers=own).text == "1\n"
    for said in ("default_beta", "beta", "default", "system", "nobody", "`", "default_alpha`; DROP"):
        for where in ({"params": {"database": said}}, {"headers": {**own, "X-ClickHouse-Database": said}}):
            asking: dict[str, Any] = {"headers": own, **where}
            assert asked.post("/", content="SELECT count() FROM steps", **asking).status_code == 403, said


def test_every_way_to_give_a_key_works(them: World) -> None:
    """As ClickHouse clients, `curl -u`, Grafana and exporters send it."""
    key, asked = them.keys[THEIRS, "viewer"], client(them.interface)
    sql, marker = "SELECT DISTINCT run_id FROM steps FINAL", them.markers[THEIRS]
    ways: list[dict[str, Any]] = [
        {"headers": {"Authorization": f"Bearer {key}"}},
        {"headers": {"X-ClickHouse-User": "anybody", "X-ClickHouse-Key": key}},
        {"auth": ("anybody", key)},
        {"params": {"user": "anybody", "password": key}},
    ]
    for way in ways:
        answer = asked.post("/", content=sql, **way)
        assert (answer.status_code, answer.text) == (200, f"{marker}\n"), way
