"""Reading through the server: any ClickHouse client can, nobody can do more than read our tables."""

from __future__ import annotations

import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from otlp_requests import request, span
from serving_apps import listening
from shared_store import fresh_store

from driftline.collector.otlp import framed
from driftline.collector.store import Store, open_store
from driftline.collector.store.http_interface import create_interface

SECRET = "the content of a file"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Store, str]]:
    """A store with ten spans, and the address of its interface."""
    store = fresh_store()
    spans = [span(f"s{number}", {"n": number}, trace=number + 1, number=number + 1) for number in range(10)]
    store.insert_requests(framed(request(*spans).SerializeToString()), os.urandom(8).hex())
    with listening(create_interface(store)) as address:
        yield store, address


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with files an attacker would like to read."""
    monkeypatch.chdir(tmp_path)
    for name in ("secret", "secret.csv", "steps.csv"):
        (tmp_path / name).write_text(f"a,b\n{SECRET},2\n")
    return tmp_path


def ask(address: str, sql: str, **params: str) -> tuple[int, str]:
    """Status and text of a query sent as the body."""
    url = f"{address}/?{urllib.parse.urlencode(params)}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=sql.encode())) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


# -- what works


def test_a_store_opened_through_the_server_reads_like_any_other(served: tuple[Store, str]) -> None:
    """Rows, values and frames, with parameters of every length: this is how server mode is tested here."""
    direct, address = served
    with open_store(address, create=False) as through:
        sql = "SELECT name, trace_id, started_at, link_traces FROM steps FINAL ORDER BY name"
        assert through.rows(sql) == direct.rows(sql)
        assert through.frame(sql).equals(direct.frame(sql))
        assert through.value("SELECT count() FROM steps FINAL WHERE name = {n:String}", {"n": "s3"}) == 1
        awkward = "a'b\\c\n\t\"`é😀{x:String}"
        assert through.value("SELECT {text:String}", {"text": awkward}) == awkward
        many = [f"{number:032x}" for number in range(1, 20_001)]
        assert through.value("SELECT count() FROM steps FINAL WHERE trace_id IN {t:Array(String)}", {"t": many}) == 10


def test_a_plain_client_sees_tables_and_types(served: tuple[Store, str]) -> None:
    """As Grafana and notebooks do."""
    client = clickhouse_connect.get_client(dsn=f"{served[1]}/default", autogenerate_session_id=False)
    assert "steps" in [row[0] for row in client.query("SHOW TABLES").result_rows]
    assert client.query("SELECT toUInt8(1) AS a, [1.5] AS b, NULL AS c").result_rows == [(1, [1.5], None)]
    assert client.query("SELECT 1 AS a", settings={"max_threads": 1}).column_names == ("a",)
    with pytest.raises(DatabaseError, match="only reads"):
        client.command("DROP TABLE steps")
    client.close()


READS = [
    ("SELECT count() FROM steps FINAL", "10\n"),
    ("select count() from default.steps;", "10\n"),
    ("SELECT 1 -- comment\n, 2 /* other */ # third", "1\t2\n"),
    ("WITH x AS (SELECT 1 AS a) SELECT a FROM x WHERE a IN (SELECT a FROM x)", "1\n"),
    ("SELECT 1 IN (1, 2), 3 NOT IN (1), 'in(x)' AS `in(`, 1 AS `in`", "1\t1\tin(x)\t1\n"),
    ("WITH [1, 2] AS s SELECT 2 IN s, 3 IN (1, 2), 'INTO OUTFILE' AS words", "1\t0\tINTO OUTFILE\n"),
    ("SELECT count() FROM steps AS s JOIN otel_traces AS t ON s.trace_id = t.TraceId", "10\n"),
    ("(SELECT 1) UNION ALL (SELECT 1)", "1\n1\n"),
    ("SELECT * FROM numbers(3)", "0\n1\n2\n"),
    ("SELECT name FROM system.tables WHERE name = 'steps' AND database = currentDatabase()", "steps\n"),
    ("EXISTS TABLE steps", "1\n"),
    ("SELECT 1 AS a FORMAT CSVWithNames", '"a"\n1\n'),
    ("SELECT getSetting('max_threads') SETTINGS max_threads = 3", "3\n"),
    ("SELECT 'a' AS `FORMAT JSON`", "a\n"),
    ("SELECT count() > 0 FROM system.settings", "1\n"),
]


@pytest.mark.parametrize(("sql", "text"), READS, ids=[sql[:40] for sql, _ in READS])
def test_reading_works(served: tuple[Store, str], sql: str, text: str) -> None:
    """Whatever form a harmless statement has."""
    assert ask(served[1], sql) == (200, text)


def test_the_query_may_stand_in_the_address(served: tuple[Store, str]) -> None:
    """As `curl` and dashboards send it, alone or before the body."""
    with urllib.request.urlopen(f"{served[1]}/?query=SELECT%201&default_format=JSONCompact") as answer:
        assert answer.headers["X-ClickHouse-Format"] == "JSONCompact"
        assert answer.headers["Content-Type"].startswith("application/json")
    assert ask(served[1], "+ 1", query="SELECT 1") == (200, "2\n")
    assert ask(served[1], "") == (200, "Ok.\n")
    with urllib.request.urlopen(f"{served[1]}/ping") as answer:
        assert answer.read() == b"Ok.\n"


def test_settings_end_with_their_query(served: tuple[Store, str]) -> None:
    """Also when the query fails."""
    show = "SELECT getSetting('max_threads') = 7"
    assert ask(served[1], show, max_threads="7") == (200, "1\n")
    assert ask(served[1], "SELECT nothing_of_that_name", max_threads="7")[0] == 400
    assert ask(served[1], show, max_threads="7", no_such_setting="1")[0] == 400
    for _ in range(5):
        assert ask(served[1], show) == (200, "0\n")


def test_what_the_engine_says_is_handed_on(served: tuple[Store, str]) -> None:
    """With its code, as clients expect."""
    status, text = ask(served[1], "SELECT nothing_of_that_name FROM steps")
    assert (status, "Code: 47" in text, "UNKNOWN_IDENTIFIER" in text) == (400, True, True)
    status, text = ask(served[1], "SELECT (")
    assert (status, "SYNTAX_ERROR" in text, "formatQuery" in text) == (400, True, False)


def test_many_read_at_once(served: tuple[Store, str]) -> None:
    """Sixteen at a time, each with its own answer and its own settings."""
    with open_store(served[1], create=False) as through, ThreadPoolExecutor(16) as pool:
        sums = pool.map(lambda n: through.value("SELECT sum(number) FROM numbers({n:UInt64})", {"n": n}), range(200))
        assert list(sums) == [n * (n - 1) // 2 for n in range(200)]
        threads = pool.map(
            lambda n: ask(served[1], "SELECT getSetting('max_threads')", max_threads=str(n))[1], range(1, 60)
        )
        assert list(threads) == [f"{n}\n" for n in range(1, 60)]


# -- what does not

WRITES = [
    "INSERT INTO steps (trace_id) VALUES ('x')",
    "insert into steps select * from steps",
    "WITH x AS (SELECT 'x' AS trace_id) INSERT INTO steps (trace_id) SELECT trace_id FROM x",
    "CREATE TABLE evil (a UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE evil (a UInt8)",
    "DROP TABLE steps",
    "TRUNCATE TABLE steps",
    "ALTER TABLE steps DELETE WHERE 1",
    "DELETE FROM steps WHERE 1",
    "OPTIMIZE TABLE steps FINAL",
    "RENAME TABLE steps TO gone",
    "DETACH TABLE steps",
    "SYSTEM STOP MERGES",
    "KILL QUERY WHERE 1",
    "GRANT ALL ON *.* TO default",
    "SET max_threads = 1",
    "USE system",
    "BACKUP TABLE steps TO File('x')",
    "SELECT 1; DROP TABLE steps",
    "SELECT 1;; DROP TABLE steps",
    "SELECT 1; SELECT 2",
    "/* SELECT 1 */ DROP TABLE steps",
    "-- SELECT 1\nDROP TABLE steps",
    "#!SELECT\nDROP TABLE steps",
    "( DROP TABLE steps )",
    "EXPLAIN SELECT 1; DROP TABLE steps",
    "SELECT 1 INTO OUTFILE 'written'",
    "SELECT 1 INTO /* x */ OUTFILE 'written' FORMAT CSV",
    "SELECT 1 INTO OUTFILE 'written' TRUNCATE",
    "SELECT 'a' AS $x$ INTO OUTFILE 'written' $x$",
    "SELECT 1 AS a$$ INTO OUTFILE 'written' -- $$",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS readonly=2, max_threads=1",
    "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)",
    "SELECT * FROM (SELECT * FROM steps SETTINGS readonly = 0) SETTINGS max_threads = 1",
    "SELECT 1 SETTINGS allow_ddl = 1",
]


@pytest.mark.parametrize("sql", WRITES)
def test_writing_is_refused(served: tuple[Store, str], here: Path, sql: str) -> None:
    """Whatever it is dressed as; nothing changes, no file appears."""
    store, address = served
    before = sorted(here.iterdir()), store.rows("SELECT name, total_rows FROM system.tables WHERE database = 'default'")
    status, text = ask(address, sql)
    assert status in (400, 403), text
    assert before == (
        sorted(here.iterdir()),
        store.rows("SELECT name, total_rows FROM system.tables WHERE database = 'default'"),
    )


FILES = [
    "SELECT * FROM 'secret'",
    'SELECT * FROM "secret.csv"',
    "SELECT * FROM `secret.csv`",
    "SELECT * FROM secret",
    "SELECT * FROM secret AS steps",
    "SELECT * FROM default.`secret.csv`",
    "SELECT * FROM `default`.`secret`",
    "SELECT * FROM steps, 'secret'",
    "SELECT * FROM steps AS s CROSS JOIN `secret.csv` AS t",
    "SELECT 1 UNION ALL SELECT a FROM secret",
    "SELECT (SELECT a FROM 'secret.csv')",
    "SELECT * FROM (SELECT * FROM 'secret.csv')",
    "SELECT * FROM view(SELECT * FROM 'secret.csv')",
    "WITH x AS (SELECT * FROM 'secret.csv') SELECT * FROM x",
    "SELECT * FROM secret, (WITH secret AS (SELECT 1) SELECT * FROM secret)",
    "SELECT 1 AS secret FROM secret",
    "WITH 1 AS secret SELECT * FROM secret",
    "SELECT ('the content of a file', 2) IN 'secret.csv'",
    "SELECT ('the content of a file', 2) IN `secret.csv`",
    "SELECT ('the content of a file', 2) IN (secret)",
    "SELECT ('the content of a file', 2) NOT IN ((secret))",
    "SELECT in(('the content of a file', 2), `secret.csv`)",
    "SELECT notIn(('the content of a file', 2), secret)",
    "SELECT 1 AS secret, ('the content of a file', 2) IN secret",
    "SELECT * FROM {t:Identifier}",
    "SELECT * FROM default.{t:Identifier}",
    "DESCRIBE 'secret.csv'",
    "DESCRIBE TABLE secret",
    "EXPLAIN SELECT * FROM 'secret.csv'",
    "SHOW CREATE TABLE `secret.csv`",
    "SELECT file('secret')",
    "SELECT `file`('secret')",
    "SELECT FILE  /* x */ ('secret')",
    "SELECT arrayMap(x -> file(x), ['secret'])",
    "SELECT * FROM file('secret.csv')",
    "SELECT * FROM fileCluster('default', 'secret.csv')",
    "SELECT * FROM loop('secret.csv')",
    "SELECT * FROM merge('default', 'secret')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    "SELECT * FROM s3('http://127.0.0.1:1/x', 'CSV', 'a String')",
    "SELECT * FROM remote('127.0.0.1:1', system.one)",
    "SELECT * FROM remoteSecure('127.0.0.1:1', system, one)",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM executable('cat secret', 'CSV', 'a String')",
    "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM input('a String')",
    "SELECT 1 AS a$$ FROM file('secret.csv') AS b$$",
    "SELECT 'x\\' FROM numbers(1) --', file('secret')",
    "SELECT \u2018x\u2019, file('secret')",
    "SELECT aiGenerate('hello')",
    "SELECT hasColumnInTable('default', 'secret.csv', 'a')",
    "SELECT joinGet('secret.csv', 'a', 1)",
    "SELECT dictGet('secret', 'a', 1)",
]


@pytest.mark.parametrize("sql", FILES)
def test_nothing_outside_the_store_is_read(served: tuple[Store, str], here: Path, sql: str) -> None:
    """No file, no address, no program, by whatever name: not their content, not even a yes or no about it."""
    status, text = ask(served[1], sql, param_t="secret.csv")
    assert status in (400, 403), text
    assert SECRET not in text.replace(sql, "")


@pytest.mark.parametrize("name", ["readonly", "allow_ddl", "allow_introspection_functions", "x; DROP TABLE steps", "A"])
def test_a_setting_that_lifts_a_barrier_is_refused(served: tuple[Store, str], name: str) -> None:
    """In the address as in the statement."""
    status, text = ask(served[1], "SELECT 1", **{name: "0"})
    assert (status, "cannot be changed here" in text) == (403, True)


def test_a_setting_cannot_carry_a_statement(served: tuple[Store, str]) -> None:
    """Its value is a value."""
    status, _ = ask(served[1], "SELECT 1", max_threads="1'; DROP TABLE steps; --")
    assert status == 400
    assert ask(served[1], "SELECT count() FROM steps FINAL") == (200, "10\n")


def test_an_oversized_query_is_refused(served: tuple[Store, str]) -> None:
    """Before the engine sees it."""
    assert ask(served[1], f"SELECT '{'x' * 33 * 2**20}'")[0] == 413
