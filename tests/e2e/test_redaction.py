"""A server that redacts, as its user sees it: no secret in its folder, on its pages, in its answers or its words."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

import planted
import pytest
from command import COMMAND, Up, begin, driftline
from shared_store import close_shared_store

from driftline.collector.store import open_store

pytestmark = pytest.mark.e2e


def fetch(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return str(answer.read().decode())


def post(address: str, body: bytes) -> None:
    request = urllib.request.Request(address, body, {"content-type": "application/x-protobuf"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def pages_of(web: str) -> dict[str, str]:
    """Every page that a link or a row leads to, and its JSON twin."""
    found: dict[str, str] = {}
    waiting = ["/", "/overview.json", "/runs.json", "/findings.json"]
    while waiting:
        path = waiting.pop()
        if path in found or len(found) > 50:
            continue
        found[path] = text = fetch(web + path)
        links = re.findall(r'(?:href|hx-get)="(/(?:runs|findings)[^"#]*)"', text)
        waiting += [link.replace("&amp;", "&") for link in links]
    return found


def test_no_secret_in_the_folder_on_a_page_or_in_a_word(tmp_path: Path) -> None:
    """Planted in every place of spans and log records, sent to a real server, looked for in everything there is."""
    plants = planted.Plants()
    settings = tmp_path / "driftline.toml"
    rules = planted.RULES.replace("{action}", "mask").replace('"log.body"', '"log.body", "bytes"')
    settings.write_text(rules, encoding="utf-8")
    data = tmp_path / "data"
    server = Up(data, "--config", str(settings))
    try:
        post(f"{server.otlp}/v1/traces", plants.spans().SerializeToString())
        post(f"{server.otlp}/v1/logs", plants.logs().SerializeToString())
        deadline = time.monotonic() + 60
        while not json.loads(fetch(f"{server.web}/findings.json"))["groups"]:
            assert time.monotonic() < deadline, "the run was not judged"
            time.sleep(0.3)
        told = pages_of(server.web)
        assert any("/spans/" in path for path in told), sorted(told)
        for path in ("/metrics", "/readyz"):
            told[path] = fetch(server.otlp + path)
        told["interface"] = fetch(f"{server.clickhouse}/?query={quote('SHOW CREATE TABLE redacted_spans')}")
        for command in (("findings", "--format", "json"), ("doctor",), ("report", "--format", "sarif")):
            ended = driftline(*command, "--data", data, cwd=tmp_path)
            told[" ".join(command)] = ended.out + ended.err
    finally:
        ended = server.stop()
    told["the server's own words"] = ended.out + ended.err
    assert {place: found for place, text in told.items() if (found := plants.leaks(text))} == {}
    assert "hash:" in told["findings --format json"], "a finding shows what stands for its target"
    held = {path: plants.leaks(content.decode("latin-1")) for path, content in planted.files(data)}
    assert {path: found for path, found in held.items() if found} == {}
    close_shared_store()
    with open_store(data) as store:
        assert store.value("SELECT count() FROM steps") == 4
        for table in ("otel_traces", "steps", "memory_ops", "otel_logs", "span_facts"):
            store.command(f"OPTIMIZE TABLE {table} FINAL")
        held_in = {place: plants.leaks(text) for place, text in planted.columns(store)}
    assert {place: found for place, found in held_in.items() if found} == {}
    key = data / "redaction.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text().strip() not in " ".join(told.values())
    again = Up(data)  # elsewhere, without its settings
    assert "stay in force" in again.stop().err


def test_rules_that_cannot_be_used_start_no_server(tmp_path: Path) -> None:
    """It says where, what and what to do, and exits as with any wrong setting."""
    (tmp_path / "driftline.toml").write_text('[[redact]]\npattern = "(?!a)b"\n', encoding="utf-8")
    process = begin("up", "--data", tmp_path / "data", cwd=tmp_path, command=COMMAND)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert "driftline.toml: redact, rule 1" in err
    assert "look-around" in err
