"""Keys, projects and TLS as people meet them: the command line, a running server, real exporters."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from certificates import self_signed
from command import Ended, Up, driftline, environment
from otlp_requests import request, span

SPAN = request(span("sent")).SerializeToString()


@dataclass
class Guarded:
    """A server that wants keys and speaks TLS, with a project `billing`."""

    data: Path
    up: Up
    certificate: Path
    ingest: str
    viewer: str

    def cli(self, *arguments: str, **more: str) -> Ended:
        """A command on its data folder."""
        return driftline(*arguments, "--data", self.data, env=more or None)

    def key(self, *arguments: str) -> tuple[str, str]:
        """A new key and its id."""
        made = self.cli("keys", "create", "--format", "json", *arguments).json
        return made["key"], made["id"]

    def send(self, key: str) -> int:
        """The answer to one request that is sent with *key*."""
        return self.ask(f"{self.up.otlp}/v1/traces", key, SPAN)[0]

    def names(self, project_key: str) -> set[str]:
        """The names of the spans in the project that a key reads, once they are there."""
        return set(self.ask(f"{self.up.clickhouse}/", project_key, b"SELECT DISTINCT name FROM steps FINAL")[1].split())

    def ask(self, url: str, key: str, body: bytes | None = None) -> tuple[int, str]:
        """Status and text, over TLS that is verified."""
        headers = {"Content-Type": "application/x-protobuf", **({"Authorization": f"Bearer {key}"} if key else {})}
        trust = ssl.create_default_context(cafile=str(self.certificate))
        asked = urllib.request.Request(url, body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=30, context=trust) as answer:
                return answer.status, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The server, started as an operator would."""
    folder = tmp_path_factory.mktemp("guarded")
    data = folder / "data"
    certificate, key = self_signed(folder)
    assert driftline("projects", "create", "billing", "--data", data).code == 0
    made = [
        driftline("keys", "create", "--project", "billing", "--role", role, "--data", data).out.strip()
        for role in ("ingest", "viewer")
    ]
    up = Up(data, "--require-keys", "--tls-cert", str(certificate), "--tls-key", str(key))
    yield Guarded(data, up, certificate, *made)
    assert up.stop().code == 0


def wait_for(guarded: Guarded, name: str) -> None:
    end = time.monotonic() + 30
    while name not in guarded.names(guarded.viewer):
        assert time.monotonic() < end, name
        time.sleep(0.1)


@pytest.mark.parametrize("options", [["--host", "0.0.0.0"], ["--require-keys"], ["--behind-proxy"]])
def test_no_server_that_nobody_could_enter_or_everybody(tmp_path: Path, options: list[str]) -> None:
    """Without a key there is nobody to let in; the message holds the command that creates one."""
    refused = driftline("up", "--data", tmp_path / "d", *options)
    assert refused.code == 2
    assert "there is none yet" in refused.err
    assert "driftline keys create --project default" in refused.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tls-cert", "c.pem"], "belong together"),
        (["--tls-cert", "c.pem", "--tls-key", "c.pem"], "cannot be used for TLS"),
    ],
)
def test_files_that_are_no_certificate(tmp_path: Path, options: list[str], says: str) -> None:
    """Said before anything is opened."""
    (tmp_path / "c.pem").write_text("no certificate")
    refused = driftline("up", "--data", tmp_path / "d", *options, cwd=tmp_path)
    assert refused.code == 2
    assert says in refused.err


EXPORTER = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.exporter.otlp.proto.{way}.trace_exporter import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
with provider.get_tracer("test").start_as_current_span("by-{way}"):
    pass
provider.shutdown()
"""
OURS = """
import driftline
driftline.init("test")
with driftline.run("{name}"):
    pass
assert driftline.flush(), "not delivered"
"""


def program(code: str, guarded: Guarded, **more: str) -> None:
    # In Python's HTTP exporter the bundles of `requests` would go before the standard variable.
    told = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(guarded.certificate),
        "REQUESTS_CA_BUNDLE": "",
        "CURL_CA_BUNDLE": "",
        **more,
    }
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment(told), capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_standard_exporters_come_in_with_standard_variables(guarded: Guarded, way: str) -> None:
    """A CA file, `authorization=Bearer KEY`; the spans lie in the project of the key."""
    where = guarded.up.otlp if way == "http" else guarded.up.otlp_grpc
    program(
        EXPORTER.format(way=way),
        guarded,
        OTEL_EXPORTER_OTLP_ENDPOINT=where,
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer {guarded.ingest}",
    )
    wait_for(guarded, f"by-{way}")


def test_our_sdk_comes_in(guarded: Guarded) -> None:
    """With its own variable, or with the standard one, which goes before it."""
    program(OURS.format(name="own"), guarded, DRIFTLINE_ENDPOINT=guarded.up.otlp, DRIFTLINE_API_KEY=guarded.ingest)
    program(
        OURS.format(name="standard"),
        guarded,
        DRIFTLINE_ENDPOINT=guarded.up.otlp,
        DRIFTLINE_API_KEY="wrong",
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{guarded.ingest}",
    )
    wait_for(guarded, "own")
    wait_for(guarded, "standard")


def test_the_owner_of_the_folder_reads_without_a_key(guarded: Guarded) -> None:
    """Through the running server, each project by its name; a colleague reads with a key from elsewhere."""
    assert guarded.send(guarded.ingest) == 200
    wait_for(guarded, "sent")
    assert guarded.cli("runs", "--project", "billing", "--format", "json").json
    assert guarded.cli("runs", "--format", "json").json == []
    assert guarded.cli("runs", "--format", "json", DRIFTLINE_PROJECT="billing").json
    unknown = guarded.cli("runs", "--project", "nobody")
    assert unknown.code == 2
    assert "no project nobody" in unknown.err
    url = f"{guarded.up.clickhouse}/?ca_cert={guarded.certificate}"
    assert driftline("runs", "--data", url, "--format", "json", env={"DRIFTLINE_KEY": guarded.viewer}).json
    assert driftline("runs", "--data", url).code == 2
    assert (guarded.data / "server.json").stat().st_mode & 0o077 == 0


def test_keys_come_and_go_while_the_server_runs(guarded: Guarded) -> None:
    """Created, used, rotated with and without a grace, revoked: each takes effect with the next request."""
    first, first_id = guarded.key("--project", "billing", "--role", "ingest", "--name", "ci")
    assert guarded.send(first) == 200
    turned = guarded.cli("keys", "rotate", first_id, "--format", "json").json
    assert (guarded.send(first), guarded.send(turned["key"])) == (200, 200)
    last = guarded.cli("keys", "rotate", turned["id"], "--grace", "0s", "--format", "json").json
    assert (guarded.send(turned["key"]), guarded.send(last["key"])) == (401, 200)
    assert guarded.cli("keys", "revoke", last["id"]).code == 0
    assert guarded.send(last["key"]) == 401
    brief, _ = guarded.key("--project", "billing", "--expires", "0s")
    assert guarded.send(brief) == 401
    listed = guarded.cli("keys", "list", "--project", "billing", "--format", "json").json
    assert "ci" in {key["name"] for key in listed}
    assert not any("key" in key or "digest" in key for key in listed)
    assert guarded.cli("keys", "revoke", "nobody").code == 2


def test_a_limited_key_is_told_when_to_come_back(guarded: Guarded) -> None:
    """429 once its burst is used up."""
    slow, _ = guarded.key("--project", "billing", "--requests-per-second", "0.1")
    assert [guarded.send(slow) for _ in range(3)] == [200, 429, 429]
    heavy, _ = guarded.key("--project", "billing", "--bytes-per-second", "1kB")
    assert guarded.send(heavy) == 200


def test_projects_come_and_go_while_the_server_runs(guarded: Guarded) -> None:
    """A new one takes spans at once; a deleted one is gone with its data and its keys."""
    assert guarded.cli("projects", "create", "brief").code == 0
    sender, _ = guarded.key("--project", "brief", "--role", "admin")
    assert guarded.send(sender) == 200
    end = time.monotonic() + 30
    while "sent" not in guarded.names(sender):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert (guarded.data / "projects" / "brief").is_dir()
    assert guarded.cli("projects", "create", "brief").code == 2
    asked = guarded.cli("projects", "delete", "brief")
    assert asked.code != 0
    assert "brief" in {row["project"] for row in guarded.cli("projects", "list", "--format", "json").json}
    assert guarded.cli("projects", "delete", "brief", "--yes").code == 0
    assert guarded.send(sender) == 401
    assert not (guarded.data / "projects" / "brief").exists()
    assert guarded.cli("projects", "delete", "default", "--yes").code == 2


def test_a_damaged_file_shuts_the_door_and_doctor_says_so(guarded: Guarded) -> None:
    """Mended, the server lets in again, without a restart."""
    file = guarded.data / "access.json"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    try:
        assert guarded.send(guarded.ingest) == 503
        assert guarded.ask(f"{guarded.up.web}/runs.json", guarded.viewer)[0] == 503
        doctor = guarded.cli("doctor", "--format", "json")
        assert doctor.code == 1
        assert any(entry["state"] == "bad" and "access.json" in entry["what"] for entry in json.loads(doctor.out))
        assert guarded.cli("keys", "create").code == 2
        assert file.read_bytes() == whole[: len(whole) // 2]
    finally:
        file.write_bytes(whole)
    assert guarded.send(guarded.ingest) == 200
    file.chmod(0o644)
    assert any(
        "others can read" in entry["what"] for entry in json.loads(guarded.cli("doctor", "--format", "json").out)
    )
    file.chmod(0o600)
