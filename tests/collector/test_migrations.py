"""The schema grows by numbered steps, each safe to repeat; views follow their text; the newer store is left alone."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from otlp_requests import request, span

from driftline.analyzers import install_views
from driftline.collector.otlp import framed
from driftline.collector.store import Store, StoreFromNewerVersion, StoreInUse, StoreNotFound, migrations, open_store
from driftline.collector.store.decoding import inbox_statements
from driftline.collector.store.migrations import available, migrate


def objects(store: Store) -> dict[str, str]:
    """Every table and view with its definition."""
    rows = store.rows("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    return {row["name"]: row["create_table_query"] for row in rows}


def send(store: Store, number: int) -> None:
    sent = request(span("sent", {"gen_ai.operation.name": "execute_tool"}, trace=number, number=number))
    store.insert_requests(framed(sent.SerializeToString()), uuid.uuid4().hex)


def test_numbers_are_one_after_the_other() -> None:
    """No gap, none twice: the order is plain from the names."""
    assert [number for number, _ in available()] == list(range(1, len(available()) + 1))


def test_each_migration_is_one_statement_that_may_run_twice() -> None:
    """A crash between a statement and its record repeats it."""
    from driftline.collector.store import read_sql

    for _, name in available():
        text = read_sql("driftline.collector.store.migrations", name)
        assert ";" not in re.sub("--.*", "", text), name
        assert "IF NOT EXISTS" in text or "IF EXISTS" in text, name


def test_migrating_again_changes_nothing(store: Store) -> None:
    """Every start does it."""
    before = objects(store)
    migrate(store)
    assert not install_views(store)
    assert objects(store) == before
    assert store.value("SELECT count() FROM schema_migrations") == len(available())


@pytest.mark.parametrize("crash_at", range(1, len(available()) + 1))
def test_a_crash_between_a_statement_and_its_record_is_repeated(
    tmp_path: Path, no_store: None, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    """The next start takes up where it stopped and ends with the same schema."""
    real = Store.insert_rows

    def crashes(store: Store, table: str, columns: list[str], rows: list[list[object]]) -> None:
        if table == "schema_migrations" and rows[0][0] == crash_at:
            raise KeyboardInterrupt
        real(store, table, columns, rows)

    monkeypatch.setattr(Store, "insert_rows", crashes)
    with pytest.raises(KeyboardInterrupt):
        open_store(tmp_path)
    monkeypatch.setattr(Store, "insert_rows", real)
    with open_store(tmp_path) as found:
        assert found.value("SELECT max(number) FROM schema_migrations") == len(available())
        assert {"otel_traces", "steps", "memory_ops", "otlp_inbox", "otlp_spans"} <= set(objects(found))
        install_views(found)
        send(found, 1)
        assert found.value("SELECT count() FROM steps FINAL") == 1


def test_a_store_of_a_newer_driftline_is_refused_and_untouched(tmp_path: Path, no_store: None) -> None:
    """Neither migrated nor read: its columns may mean something else."""
    newer = len(available()) + 1
    with open_store(tmp_path) as found:
        found.insert_rows("schema_migrations", ["number", "name"], [[newer, "from the future"]])
        before = objects(found)
    for create in (True, False):
        with pytest.raises(StoreFromNewerVersion, match=f"at migration {newer}, this driftline knows {newer - 1}"):
            open_store(tmp_path, create=create)
    with Store(f"chdb://{tmp_path / 'store'}") as found:
        assert objects(found) == before


def test_a_new_migration_is_applied_to_an_old_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that one."""
    known = available()
    ran: list[str] = []
    real = migrations.read_sql

    def text(package: str, name: str) -> str:
        ran.append(name)
        later = "CREATE TABLE IF NOT EXISTS added_later (a UInt8) ENGINE = Memory"
        return later if name == "0099_later.sql" else real(package, name)

    monkeypatch.setattr(migrations, "available", lambda: [*known, (99, "0099_later.sql")])
    monkeypatch.setattr(migrations, "read_sql", text)
    try:
        migrate(store)
        assert ran == ["sql/schema_migrations.sql", "0099_later.sql"]
        assert "added_later" in objects(store)
    finally:
        store.command("DROP TABLE IF EXISTS added_later")
        store.command("ALTER TABLE schema_migrations DELETE WHERE number = 99 SETTINGS mutations_sync = 1")


@pytest.mark.parametrize("name", ["canonical_steps", "canonical_memory_ops", "otlp_spans", "otlp_inbox"])
def test_a_view_of_an_older_text_is_replaced(store: Store, name: str) -> None:
    """The upgrade: what was stored stays, what comes next goes through the new text."""
    send(store, 1)
    current = objects(store)[name]
    inbox = inbox_statements()
    old = {
        "otlp_inbox": inbox["otlp_inbox"] + " COMMENT 'old'",
        "otlp_spans": re.sub(
            r"(\S+\(span, 'name'\)) AS SpanName", r"concat('old ', \1) AS SpanName", inbox["otlp_spans"]
        ),
        "canonical_steps": "CREATE MATERIALIZED VIEW canonical_steps TO steps AS SELECT TraceId AS trace_id, "
        "SpanId AS span_id, 'by the old view' AS name, Timestamp AS started_at FROM otel_traces",
        "canonical_memory_ops": "CREATE MATERIALIZED VIEW canonical_memory_ops TO memory_ops AS SELECT "
        "TraceId AS trace_id, SpanId AS span_id, Timestamp AS started_at FROM otel_traces WHERE 0",
    }[name]
    assert store.install_view(name, old)
    send(store, 2)
    migrate(store)
    install_views(store)
    assert objects(store)[name] == current
    send(store, 3)
    names = {row["trace_id"][-1]: row["name"] for row in store.rows("SELECT trace_id, name FROM steps FINAL")}
    assert (names["1"], names["3"]) == ("sent", "sent")
    assert names["2"] == {"otlp_spans": "old sent", "canonical_steps": "by the old view"}.get(name, "sent")


def test_a_view_lost_between_drop_and_create_is_made_again(store: Store) -> None:
    """Its hash is on record, it is not there."""
    store.command("DROP TABLE canonical_steps")
    assert install_views(store)
    send(store, 1)
    assert store.value("SELECT count() FROM steps FINAL") == 1


def test_a_folder_without_a_store_is_named(tmp_path: Path, no_store: None) -> None:
    """Reading creates nothing."""
    with pytest.raises(StoreNotFound, match="no driftline store"):
        open_store(tmp_path / "nothing", create=False)
    assert not (tmp_path / "nothing").exists()


def test_a_store_another_process_holds_is_named(tmp_path: Path, no_store: None) -> None:
    """With what to do about it."""
    import subprocess
    import sys

    code = (
        "import sys; from driftline.collector.store import open_store; s = open_store(sys.argv[1]); "
        "print('open', flush=True); sys.stdin.read(); s.close()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreInUse, match="in use by another process"):
            open_store(tmp_path)
    finally:
        other.stdin.close()
        other.wait(60)
    open_store(tmp_path).close()
