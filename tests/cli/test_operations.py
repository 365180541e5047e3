"""Backup, restore, export, retention and compaction by the command line: with a running server, and without one."""

from __future__ import annotations

import itertools
import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import histories
import polars as pl
import pytest
from command import Ended, Up, driftline
from otlp_requests import request, span
from record_files import CLEAN, FAULTY
from shared_store import close_shared_store

from driftline.collector.store import migrations, open_store

pytestmark = pytest.mark.e2e


def post(up: Up, body: bytes) -> bool:
    """Send one request; whether it was acknowledged."""
    sent = urllib.request.Request(f"{up.otlp}/v1/traces", body, {"Content-Type": "application/x-protobuf"})
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_until(what: Any) -> None:
    deadline = threading.Event()
    for _ in range(600):
        if what():
            return
        deadline.wait(0.1)
    raise AssertionError("it did not come to be")


def findings(data: Path) -> set[tuple[str, str]]:
    return {(found["id"], found["anomaly"]) for found in driftline("findings", "--data", data, "--format", "json").json}


def done(ended: Ended) -> Ended:
    assert ended.code == 0, ended.err
    return ended


class Senders:
    """A program that goes on sending requests of one span with one memory write, each once."""

    def __init__(self, up: Up) -> None:
        self._up, self._stop = up, threading.Event()
        self.acknowledged: list[int] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for number in itertools.count(1_000):
            if self._stop.is_set():
                return
            wrote = {"driftline.kind": "memory", "driftline.memory.op": "write", "driftline.memory.store": "notes",
                     "driftline.memory.keys": [str(number)]}  # fmt: skip
            if post(self._up, request(span("memory.write", wrote, trace=number, number=number)).SerializeToString()):
                self.acknowledged.append(number)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which a server has judged two runs, and was backed up, exported, compacted under load meanwhile."""
    place = tmp_path_factory.mktemp("operations")
    data = place / "data"
    up = Up(data)
    try:
        for history in (CLEAN, FAULTY):
            for one in histories.requests(history):
                assert post(up, one.SerializeToString())
        wait_until(lambda: findings(data))
        done(driftline("retention", "--data", data, "--spans", "90d", "--findings", "1y"))
        senders = Senders(up)
        wait_until(lambda: len(senders.acknowledged) > 20)
        before = list(senders.acknowledged)
        backed = driftline("backup", place / "backup", "--data", data)
        compacted = driftline("compact", "--data", data, "--format", "json")
        exported = driftline("export", place / "all.pb", "--data", data)
        tables = driftline(
            "export", place / "findings.parquet", "--format", "parquet", "--table", "findings", "--data", data
        )
        senders.stop()
        for ended in (backed, compacted, exported, tables):
            done(ended)
        (place / "said.json").write_text(json.dumps({"before": before, "findings": sorted(findings(data))}))
        (place / "compacted.json").write_text(compacted.out)
        twice = driftline("backup", place / "backup", "--data", data)
        assert (twice.code, "is there already" in twice.err) == (2, True)
    finally:
        ended = up.stop(signal.SIGTERM)
    assert ended.code == 0
    return place


def said(place: Path, name: str) -> Any:
    return json.loads((place / "said.json").read_text())[name]


def spans_of(store: Any, table: str) -> set[str]:
    name = "TraceId" if table == "otel_traces" else "trace_id"
    return {row["id"] for row in store.rows(f"SELECT DISTINCT {name} AS id FROM {table}")}


def test_a_backup_made_under_load_holds_all_that_was_acknowledged_and_nothing_by_halves(
    served: Path, tmp_path: Path
) -> None:
    done(driftline("restore", served / "backup", "--data", tmp_path / "back"))
    close_shared_store()
    with open_store(tmp_path / "back", create=False) as store:
        traces, steps, memory = (spans_of(store, table) for table in ("otel_traces", "steps", "memory_ops"))
        assert {f"{number:032x}" for number in said(served, "before")} <= traces
        assert traces == steps
        wrote = {row["id"] for row in store.rows("SELECT trace_id AS id FROM steps WHERE name = 'memory.write'")}
        assert wrote == memory
        assert store.value("SELECT count() FROM steps") == store.value("SELECT count() FROM steps FINAL")
    assert findings(tmp_path / "back") >= {tuple(one) for one in said(served, "findings")}
    kept = driftline("retention", "--data", tmp_path / "back", "--format", "json").json
    assert kept == {"spans": 90, "findings": 365}


def test_a_restored_folder_takes_spans_again(served: Path, tmp_path: Path) -> None:
    """The views are in place, and judge what comes."""
    done(driftline("restore", served / "backup", "--data", tmp_path / "back", "--keep-all"))
    assert driftline("retention", "--data", tmp_path / "back", "--format", "json").json["spans"] is None
    up = Up(tmp_path / "back")
    try:
        assert post(up, request(span("new", trace=77)).SerializeToString())
        query = f"{up.clickhouse}/?query=SELECT+count()+FROM+steps+WHERE+trace_id={{id:String}}&param_id={77:032x}"
        wait_until(lambda: urllib.request.urlopen(query, timeout=30).read().strip() == b"1")
    finally:
        up.stop()


def test_a_restore_puts_nothing_over_what_is_there(served: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    ended = driftline("restore", served / "backup", "--data", tmp_path / "mine")
    assert (ended.code, "is not empty" in ended.err) == (2, True)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "manifest", "newer"])
def test_a_backup_that_is_not_whole_is_not_restored(served: Path, tmp_path: Path, harm: str) -> None:
    copy = tmp_path / "backup"
    copy.mkdir()
    for path in sorted((served / "backup").rglob("*")):
        place = copy / path.relative_to(served / "backup")
        place.mkdir() if path.is_dir() else place.write_bytes(path.read_bytes())
    victim = next(copy.rglob("otel_traces-*"))
    manifest = json.loads((copy / "manifest.json").read_text())
    if harm == "flip":
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(bytes(data))
    elif harm == "cut":
        victim.write_bytes(victim.read_bytes()[:-1])
    elif harm == "remove":
        victim.unlink()
    elif harm == "manifest":
        (copy / "manifest.json").unlink()
    else:
        (copy / "manifest.json").write_text(json.dumps({**manifest, "schema": 9_999}))
    ended = driftline("restore", copy, "--data", tmp_path / "back")
    words = {"manifest": "is no backup", "newer": "newer driftline"}.get(harm, "not as it was written")
    assert (ended.code, words in ended.err) == (2, True), ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


def test_a_backup_of_an_older_schema_is_brought_up_to_date(served: Path, tmp_path: Path) -> None:
    """One made before log records were kept: the tables it lacks are there, and empty."""
    copy = tmp_path / "backup"
    copy.mkdir()
    (copy / "projects").symlink_to(served / "backup" / "projects")
    manifest = json.loads((served / "backup" / "manifest.json").read_text())
    for table in ("otel_logs", "span_facts", "redaction"):
        manifest["projects"]["default"].pop(table, None)
    manifest |= {"schema": 8, "files": {}}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    done(driftline("restore", copy, "--data", tmp_path / "back"))
    close_shared_store()
    with open_store(tmp_path / "back", create=False) as store:
        assert store.value("SELECT max(number) FROM schema_migrations") == migrations.available()[-1][0]
        assert store.value("SELECT count() FROM otel_traces") > 0
        assert store.value("SELECT count() FROM span_facts") == 0


def test_without_a_server_the_log_is_in_the_copy(served: Path, tmp_path: Path) -> None:
    """What a killed server left there is stored by the next start, wherever that is."""
    (served / "data" / "log").mkdir(exist_ok=True)
    left = served / "data" / "log" / "000000000009-0123456789ab.wal"
    left.write_bytes(b"bytes that were acknowledged")
    try:
        done(driftline("backup", tmp_path / "copy", "--data", served / "data"))
    finally:
        left.unlink()
    done(driftline("restore", tmp_path / "copy", "--data", tmp_path / "back"))
    assert (tmp_path / "back" / "log" / left.name).read_bytes() == b"bytes that were acknowledged"


def test_what_was_exported_as_otlp_is_judged_the_same(served: Path, tmp_path: Path) -> None:
    """Runs and findings come back from the file, by `check` and by a store that imports nothing but it."""
    checked = driftline("check", served / "all.pb", "--format", "json").json
    assert {(found["id"], found["anomaly"]) for found in checked["findings"]} >= {
        tuple(one) for one in said(served, "findings")
    }
    again = tmp_path / "again"
    up = Up(again)
    try:
        for one in _unframed((served / "all.pb").read_bytes()):
            assert post(up, one)
        wait_until(lambda: findings(again) >= {tuple(one) for one in said(served, "findings")})
        done(driftline("export", tmp_path / "again.pb", "--data", again))
    finally:
        up.stop()
    assert sorted(_spans(tmp_path / "again.pb")) == sorted(_spans(served / "all.pb"))


def test_an_export_is_a_part_when_a_part_is_asked_for(served: Path, tmp_path: Path) -> None:
    ended = done(driftline("export", tmp_path / "run.pb", "--run", "twice", "--data", served / "data"))
    assert "1 traces" in ended.out
    assert len(_spans(tmp_path / "run.pb")) == 4
    none = done(driftline("export", tmp_path / "none.pb", "--run", "no such", "--data", served / "data"))
    assert "0 traces" in none.out
    assert (tmp_path / "none.pb").read_bytes() == b""


def test_parquet_is_read_by_others(served: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(served / "findings.parquet")
    assert {tuple(one) for one in said(served, "findings")} <= set(frame.select("fingerprint", "anomaly").iter_rows())
    for table in ("spans", "logs"):
        file = tmp_path / f"{table}.parquet"
        done(driftline("export", file, "--format", "parquet", "--table", table, "--data", served / "data"))
        found = pl.read_parquet(file)
        assert (found.height > 0) == (table != "logs")


def test_compaction_says_what_it_did(served: Path) -> None:
    rows = {row["table"]: row for row in json.loads((served / "compacted.json").read_text())}
    assert rows["steps"]["rows"] > 0
    assert rows["steps"]["parts_after"] >= 1


def _unframed(data: bytes) -> Iterator[bytes]:
    from driftline.collector.dead_letters import unframed

    return unframed(data)


def _spans(file: Path) -> list[tuple[str, ...]]:
    """The spans of an exported file, each as text."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = []
    for body in _unframed(file.read_bytes()):
        one = ExportTraceServiceRequest.FromString(body)
        for group in one.resource_spans:
            for scoped in group.scope_spans:
                for each in scoped.spans:
                    attributes = sorted((pair.key, pair.value.string_value) for pair in each.attributes)
                    found.append((each.trace_id.hex(), each.span_id.hex(), each.name, str(attributes),
                                  str(each.start_time_unix_nano), str(each.end_time_unix_nano)))  # fmt: skip
    return found
