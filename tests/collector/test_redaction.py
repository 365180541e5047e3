"""Redaction in the store: nothing that a rule means is in any table, what detectors need is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import histories
import planted
import pytest
from shared_store import close_shared_store

from driftline._redaction_rules import parse_rules
from driftline.analyzers import install_views
from driftline.analyzers.dialects.redacting import KEPT, LISTS, SHOWN, TEXTS
from driftline.collector.nested import flatten_nested
from driftline.collector.otlp import framed
from driftline.collector.redacted_views import TEXT_COLUMNS
from driftline.collector.redaction import KEY_FILE, RedactionKeyMissing, wanted
from driftline.collector.store import Store, open_store


@pytest.fixture(autouse=True)
def _no_other_store() -> Iterator[None]:
    close_shared_store()
    yield
    close_shared_store()


def opened(folder: Path, rules: list[dict[str, object]] | None) -> Store:
    """A store told to redact by *rules*; None: not told anything."""
    told = None if rules is None else wanted(parse_rules(rules, "test"), folder)
    store = open_store(folder, redaction=told)
    install_views(store)
    return store


def wire(message: object) -> bytes:
    """A request as the log holds it."""
    flatten_nested(message, message.SerializeToString())  # type: ignore[attr-defined,arg-type]
    return framed(message.SerializeToString())  # type: ignore[attr-defined]


@pytest.mark.parametrize("action", ["mask", "hash", "drop"])
def test_no_secret_reaches_a_table_or_a_file(action: str, tmp_path: Path) -> None:
    """Planted wherever a span or a log record has text, found nowhere: in no column, in no file of the engine."""
    plants = planted.Plants()
    rules = [
        {"pattern": planted.PATTERN, "action": action},
        {"keys": ["password", "user.*", "log.body"], "action": action},
        # Bytes are stored in base64, where no pattern finds anything: they are named.
        {"keys": ["bytes"], "action": action},
    ]
    with opened(tmp_path, rules) as store:  # type: ignore[arg-type]
        store.insert_requests(wire(plants.spans()), "t1")
        store.insert_requests(wire(plants.logs()), "t2", "logs")
        counts = {name: store.value(f"SELECT count() FROM {name}") for name in ("otel_traces", "steps", "memory_ops")}
        assert counts == {"otel_traces": 4, "steps": 4, "memory_ops": 1}
        assert store.value("SELECT count() FROM otel_logs") == 2
        assert store.value("SELECT count() FROM span_facts") == 2
        leaks = {place: found for place, text in planted.columns(store) if (found := plants.leaks(text))}
        assert leaks == {}
        for table in (*counts, "otel_logs", "span_facts"):
            store.command(f"OPTIMIZE TABLE {table} FINAL")
    everything = {path: plants.leaks(content.decode("latin-1")) for path, content in planted.files(tmp_path)}
    assert {path: found for path, found in everything.items() if found} == {}


def test_what_no_rule_means_stays_as_it_is(tmp_path: Path) -> None:
    """Row by row, a store whose rules find nothing holds what a store without rules holds."""
    plants = planted.Plants()
    batches = wire(plants.spans()), wire(plants.logs())
    held = []
    for number, rules in enumerate(([], [{"pattern": "nothing like this"}, {"keys": ["no.such.*"], "action": "drop"}])):
        with opened(tmp_path / str(number), rules) as store:  # type: ignore[arg-type]
            store.insert_requests(batches[0], "t1")
            store.insert_requests(batches[1], "t2", "logs")
            held.append({place: text for place, text in planted.columns(store) if not _differs_anyway(place)})
    assert held[0] == held[1]
    found = plants.leaks(" ".join(held[0].values()))
    # Attributes of scopes are kept of log records alone; the texts that are digests elsewhere are not kept at all.
    assert len(found) > 0.9 * len(plants.made)


def _differs_anyway(place: str) -> bool:
    apart = (
        "ingestedat",
        "ingested_at",
        "record_hash",
        "recordhash",
        "last_span_at",
    )  # the hash of a record is made with the key
    return place.startswith(("installed_views", "schema_migrations", "redaction")) or any(
        name in place.lower() for name in apart
    )


def test_a_repeated_batch_adds_nothing(tmp_path: Path) -> None:
    """The chain through the table that keeps nothing keeps the batch's identity."""
    rules: list[dict[str, object]] = [{"preset": ["secrets", "emails", "credit_cards"]}]
    batch = wire(planted.Plants().spans())
    with opened(tmp_path, rules) as store:
        for _ in range(2):
            store.insert_requests(batch, "same")
        for table, rows in (("otel_traces", 4), ("steps", 4), ("memory_ops", 1)):
            assert store.value(f"SELECT count() FROM {table}") == rows


def test_rules_stay_until_they_are_ended(tmp_path: Path) -> None:
    """Whoever opens the store next redacts by the same rules; an empty list ends them, and leaves no trace of them."""
    plants = planted.Plants()
    with opened(tmp_path, [{"pattern": planted.PATTERN}]):
        pass
    with opened(tmp_path, None) as store:
        assert store.redaction()
        store.insert_requests(wire(plants.spans()), "t1")
        assert "pl4nted" not in str(store.rows("SELECT SpanName, StatusMessage FROM otel_traces"))
    with opened(tmp_path, []) as store:
        assert not store.redaction()
        store.insert_requests(wire(plants.spans()), "t2")
        assert "pl4nted" in str(store.rows("SELECT SpanName FROM otel_traces"))
        assert store.value("SELECT count() FROM system.tables WHERE name LIKE '%redacted%'") == 0
    with opened(tmp_path, None) as store:
        assert not store.redaction()


def test_rules_of_one_project_alone(tmp_path: Path) -> None:
    """Each project has its own database, and its own views."""
    rules = parse_rules([{"pattern": planted.PATTERN, "projects": ["billing"]}], "test")
    found = {}
    for project in ("default", "billing"):
        with open_store(tmp_path, project=project, redaction=wanted(rules, tmp_path)) as store:
            install_views(store)
            store.insert_requests(wire(planted.Plants().spans()), project)
            found[project] = "pl4nted" in str(store.rows("SELECT SpanName FROM otel_traces"))
    assert found == {"default": True, "billing": False}


def test_the_key_is_shown_to_nobody(tmp_path: Path) -> None:
    """It is in one file that only its owner reads; ClickHouse shows it neither to readers nor in errors."""
    with opened(tmp_path, [{"pattern": "x+", "action": "hash"}]) as store:
        file = tmp_path / KEY_FILE
        key = file.read_text().strip()
        assert file.stat().st_mode & 0o777 == 0o600
        assert len(key) == 64
        shown = str(store.rows("SELECT create_table_query, as_select FROM system.tables"))
        for name in ("redacted_spans", "canonical_steps"):
            for more in ("", " SETTINGS format_display_secrets_in_show_and_select = 1"):
                shown += str(store.value(f"SHOW CREATE TABLE {name}{more}"))
        assert "decrypt" in shown
        assert "[HIDDEN]" in shown
        pads = bytes(byte ^ 0x36 for byte in key.encode()).hex()
        assert key not in shown
        assert pads not in shown.lower()


def test_without_the_key_nothing_is_stored_in_the_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store whose views must be made anew is not opened without the key of its hashes: says what to do."""
    with opened(tmp_path, [{"pattern": "x+", "action": "hash"}]) as store:
        store.command("DROP TABLE redacted_spans")
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(RedactionKeyMissing, match=KEY_FILE):
        open_store(tmp_path)


def test_hashes_are_the_sdks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HMAC-SHA256 under the key in the file: a value hashed in a program is the same as one hashed here."""
    import hashlib
    import hmac

    from otlp_requests import request, span

    with opened(tmp_path, [{"keys": ["user"], "action": "hash"}]) as store:
        store.insert_requests(wire(request(span("x", {"user": "jane"}))), "t")
        key = (tmp_path / KEY_FILE).read_text().strip().encode()
        expected = "hash:" + hmac.new(key, b"jane", hashlib.sha256).hexdigest()[:32]
        assert store.value("SELECT SpanAttributes['user'] FROM otel_traces") == expected


def test_every_text_column_is_thought_of() -> None:
    """A column that is added to a table is either redacted or said to stay."""
    store = histories.fresh_store()
    views = {"steps": "canonical_steps", "memory_ops": "canonical_memory_ops", "span_facts": "canonical_span_facts"}
    for table, view in views.items():
        known = {*TEXTS[view], *LISTS[view], *SHOWN.get(view, ()), *KEPT[view]}
        assert _text_columns(store, table) == known
    ids = {"TraceId", "SpanId", "ParentSpanId", "Links.TraceId", "Links.SpanId", "SpanKind", "StatusCode"}
    for table, redacted in TEXT_COLUMNS.items():
        assert _text_columns(store, table) - ids == redacted


def _text_columns(store: Store, table: str) -> set[str]:
    return {
        row["name"]
        for row in store.rows(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
            " AND type LIKE '%String%'",
            {"table": table},
        )
    }
