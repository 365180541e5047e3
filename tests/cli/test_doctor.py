"""`driftline doctor` names each trouble and its mend, on real servers and stores in trouble."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from command import Up, driftline
from otlp_requests import request, span
from shared_store import close_shared_store

from driftline.cli.checkup import store as checkup_of_store
from driftline.cli.queries import ask
from driftline.collector.store import open_store

pytestmark = pytest.mark.e2e


def saw(data: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = driftline("doctor", "--data", data, "--format", "json").json
    return found


def of(found: list[dict[str, str]], words: str) -> dict[str, str]:
    hits = [entry for entry in found if words in entry["what"]]
    assert len(hits) == 1, (words, found)
    return hits[0]


def post(url: str, body: bytes, kind: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": kind}), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_server_tells_whom_it_turned_away_and_what_to_set(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    try:
        nothing = of(saw(tmp_path / "data"), "no span ever came")
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in nothing["mend"]
        assert post(f"{up.otlp}/v1/traces", b"\xff\xff", "application/x-protobuf") == 400
        assert post(f"{up.otlp}/", b"", "application/x-protobuf") in (404, 405)
        ahead = int((datetime.now(timezone.utc) + timedelta(hours=5)).timestamp() * 1e9)
        skewed = request(span("a", start=ahead), resource={"service.name": "late", "host.name": "h1"})
        assert post(f"{up.otlp}/v1/traces", skewed.SerializeToString(), "application/x-protobuf") == 200
        for _ in range(30):
            found = saw(tmp_path / "data")
            if any("1 spans stored" in entry["what"] for entry in found):
                break
        assert "OTEL_EXPORTER_OTLP_PROTOCOL" in of(found, "UnreadableBody")["mend"]
        assert "without a path" in of(found, "WrongPlace")["mend"]
        clock = of(found, "the clock of late on h1 is ahead")
        assert "NTP" in clock["mend"]
        assert not [entry for entry in found if entry["state"] == "bad"]
    finally:
        up.stop()


def test_a_server_whose_socket_is_gone_is_broken(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    try:
        (tmp_path / "data" / "control.sock").unlink()
        ended = driftline("doctor", "--data", tmp_path / "data")
        assert ended.code == 1
        assert "BAD   the server does not answer at" in ended.out
    finally:
        up.stop()


def test_retention_that_is_not_in_force_everywhere_is_broken(tmp_path: Path) -> None:
    close_shared_store()
    with open_store(tmp_path) as store:
        store.command("ALTER TABLE otel_traces MODIFY TTL toDateTime(IngestedAt) + toIntervalDay(30)")
    odd = of(saw(tmp_path), "retention is not in force in")
    assert (odd["state"], "steps" in odd["what"], odd["mend"]) == (
        "bad", True, "`driftline retention --spans 30d` puts it right"
    )  # fmt: skip
    driftline("retention", "--spans", "30d", "--data", tmp_path)
    assert of(saw(tmp_path), "spans are kept for 30 days")["state"] == "ok"


def test_letters_of_every_project_and_a_log_nobody_empties_are_seen(tmp_path: Path) -> None:
    close_shared_store()
    open_store(tmp_path).close()
    letters = tmp_path / "projects" / "billing" / "dead-letter"
    letters.mkdir(parents=True)
    (letters / "one.refused.json").write_text("{}")
    (tmp_path / "log").mkdir()
    with (tmp_path / "log" / "000000000001-000000000000.wal").open("wb") as file:
        file.truncate(3 * 2**30)  # sparse
    found = saw(tmp_path)
    assert of(found, "1 batches were set aside")["state"] == "bad"
    assert of(found, "3.0 GiB wait in the write-ahead log")["state"] == "bad"


def test_partitions_in_many_parts_are_told(tmp_path: Path) -> None:
    close_shared_store()
    with open_store(tmp_path) as store:
        store.command("SYSTEM STOP MERGES findings")
        for number in range(30):
            store.command(f"INSERT INTO findings (run_id) VALUES ('{number}')")
        assert ask(store, "many_parts", most=29) == [{"table": "findings", "partition": "tuple()", "parts": 30}]
        assert ask(store, "many_parts", most=30) == []


class Asked:
    """A ClickHouse server, as far as its own logs are asked for."""

    def rows(self, sql: str, _params: Any) -> list[dict[str, Any]]:
        assert "system.tables" in sql
        return [{"name": "query_log", "bytes": 5 * 2**30}]


def test_logs_that_clickhouse_keeps_for_ever_come_with_the_statement() -> None:
    (found,) = checkup_of_store._system_logs(Asked())  # type: ignore[arg-type]
    assert found.state == "note"
    assert "system.query_log for ever: 5,120 MiB" in found.what
    assert "ALTER TABLE system.query_log MODIFY TTL event_date + INTERVAL 30 DAY" in found.mend


def test_the_question_for_those_logs_is_one_the_engine_answers(tmp_path: Path) -> None:
    """It finds a table without a time to live, and not one that has one."""
    close_shared_store()
    with open_store(tmp_path) as store:
        sql_of = "ENGINE = MergeTree ORDER BY event_date"
        store.command(f"CREATE TABLE a_log (event_date Date) {sql_of}")
        store.command(f"CREATE TABLE b_log (event_date Date) {sql_of} TTL event_date + INTERVAL 30 DAY")
        from driftline.collector.store import read_sql

        sql = read_sql("driftline.cli", "sql/system_logs_without_ttl.sql").replace("'system'", "currentDatabase()")
        assert [row["name"] for row in store.rows(sql)] == ["a_log"]
        assert ask(store, "system_logs_without_ttl") == []


def test_text_and_json_say_the_same(tmp_path: Path) -> None:
    text = driftline("doctor", "--data", tmp_path / "none").out
    for entry in json.loads(driftline("doctor", "--data", tmp_path / "none", "--format", "json").out):
        assert entry["what"] in text
        assert entry["state"] in ("ok", "note", "bad")
