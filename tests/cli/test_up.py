"""`driftline up` and every command that reads through it: real processes, real ports, the real OTLP exporter."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from command import Ended, Up, begin, driftline, free_ports
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

pytestmark = pytest.mark.e2e
Run = Callable[..., Ended]


def _export(otlp: str) -> None:
    """A program with opentelemetry-sdk and attributes, nothing of ours. A booking is retried and made twice."""
    resource = Resource({"service.name": "booking", "service.instance.id": "i1", "host.name": "h"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{otlp}/v1/traces")))
    tracer, clock = provider.get_tracer("app"), count(1)

    @contextlib.contextmanager
    def span(name: str, **attributes: Any) -> Iterator[None]:
        said = {key.replace("__", "."): value for key, value in attributes.items()}
        with tracer.start_as_current_span(name, attributes={**said, "driftline.seq": next(clock)}) as one:
            yield
            one.set_attribute("driftline.seq.end", next(clock))

    for run in ("run-good", "run-twice"):
        named: dict[str, Any] = {"driftline__run__id": run}
        begun = {"gen_ai__operation__name": "invoke_workflow", "gen_ai__workflow__name": "trip"}
        with span("invoke_workflow trip", **named, **begun):
            for attempt in (1, 2) if run == "run-twice" else (1,):
                call: dict[str, Any] = {
                    "gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": "book",
                    "driftline__call__id": "c1", "driftline__attempt": attempt, "driftline__effect": "write",
                    "driftline__effect__outcome": "applied", "driftline__effect__targets": ["order/1"],
                    "code__file__path": "agents/book.py", "code__line__number": 8,
                }  # fmt: skip
                with span("execute_tool book", **named, **call):
                    time.sleep(0.002)
    provider.shutdown()


def _judged(server: Up) -> bool:
    found = {run["run_id"]: run for run in driftline("runs", "--data", server.data, "--format", "json").json}
    return found.get("run-twice", {}).get("findings_error", 0) > 0 and "findings_error" in found.get("run-good", {})


def _until(condition: Any, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.3)
    return found


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A server that has received and judged two runs."""
    server = Up(tmp_path_factory.mktemp("up") / "data")
    try:
        _export(server.otlp)
        _until(lambda: _judged(server))
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def test_runs(run: Run, up: Up) -> None:
    """Both runs, newest first, with what was found in each."""
    ended = run("runs", "--data", up.data, "--format", "json")
    assert ended.code == 0
    assert [(run["run_id"], run["spans"], run["findings_error"]) for run in ended.json] == [
        ("run-twice", 3, 1),
        ("run-good", 2, 0),
    ]
    assert ended.json[0]["started_at"].endswith("Z")
    assert "run-twice" in run("runs", "--data", up.data, "--limit", "1").out
    assert "1 of 2 runs shown" in run("runs", "--data", up.data, "--limit", "1").err
    assert "no runs of workflow 'other'" in run("runs", "--data", up.data, "--workflow", "other").out


def test_findings(run: Run, up: Up) -> None:
    """One defect, as a row and as data with its evidence."""
    (finding,) = run("findings", "--data", up.data, "--format", "json").json
    assert (finding["anomaly"], finding["grade"], finding["run_id"]) == ("repeated_effect", "definite", "run-twice")
    assert finding["id"] in run("findings", "--data", up.data).out
    assert run("findings", "--data", up.data, "--severity", "warning", "--format", "json").json == []
    assert run("findings", "--data", up.data, "--severity", "worst").code == 2


def test_show_a_run(run: Run, up: Up) -> None:
    """A tree with the attempts of one call on one line, and the finding at the end."""
    ended = run("show", "run-tw", "--data", up.data)
    assert ended.code == 0
    (attempts,) = [line for line in ended.out.splitlines() if "execute_tool book" in line]
    assert "2 attempts (1: applied" in attempts
    findings = ended.out.partition("findings:")[2]
    assert "book ran twice for order/1" in findings
    assert len(run("show", "run-twice", "--data", up.data, "--all").out.splitlines()) == len(ended.out.splitlines()) + 2
    data = run("show", "run-twice", "--data", up.data, "--format", "json").json
    assert (len(data["spans"]), len(data["findings"])) == (3, 1)


def test_show_a_finding(run: Run, up: Up) -> None:
    """Its sentence, its argument, its spans with their names."""
    (finding,) = run("findings", "--data", up.data, "--format", "json").json
    ended = run("show", finding["id"], "--data", up.data)
    assert ended.code == 0
    assert "agents/book.py:8" in ended.out
    assert ended.out.count("execute_tool book trace ") == 2
    assert run("show", finding["id"], "--data", up.data, "--format", "json").json == [finding]


def test_an_id_that_is_none_or_many(run: Run, up: Up) -> None:
    """Both are errors, and the second names the candidates."""
    none, many = run("show", "nothing", "--data", up.data), run("show", "run-", "--data", up.data)
    assert (none.code, many.code) == (2, 2)
    assert "no run and no finding 'nothing'" in none.err
    assert "run-good, run-twice" in many.err


def test_report_through_the_server(run: Run, up: Up) -> None:
    """The verdict first, the exit code with it, a link to the page that shows it."""
    ended = run("report", "--data", up.data)
    assert ended.code == 1
    assert ended.out.split()[0] == "FAIL"
    see = next(line.split()[-1] for line in ended.out.splitlines() if line.split()[:1] == ["see"])
    with urllib.request.urlopen(see) as page:
        assert b"book ran twice" in page.read()
    assert run("report", "--data", up.data, "--exit-zero").code == 0
    assert run("report", "--data", up.data, "--since", "14d", "--format", "json").json["verdict"] == "fail"
    ahead = run("report", "--data", up.data, "--since", "2099-01-01T00:00:00Z")
    assert (ahead.code, ahead.out.split()[0]) == (5, "UNKNOWN")
    assert run("report", "--data", up.data, "--since", "yesterday").code == 2


@pytest.mark.parametrize("fmt", ["md", "sarif", "junit", "github"])
def test_report_in_every_format(run: Run, up: Up, fmt: str) -> None:
    """With the call site, and the way to the finding's page."""
    ended = run("report", "--data", up.data, "--format", fmt)
    assert ended.code == 1
    assert "agents/book.py" in ended.out
    assert f"{up.web}/findings/DE-" in ended.out


def test_doctor_sees_the_server(run: Run, up: Up) -> None:
    """The server, its engine and its spans; nothing bad."""
    found = run("doctor", "--data", up.data, "--format", "json").json
    assert not [entry for entry in found if entry["state"] == "bad"]
    assert any(up.web in entry["what"] for entry in found)
    assert any(entry["what"].startswith("5 spans stored") for entry in found)


def test_a_second_server_on_the_folder_is_refused(run: Run, up: Up) -> None:
    """By name: who has it, and where its pages are."""
    ended = run("up", "--data", up.data)
    assert ended.code == 2
    assert up.web in ended.err
    assert "stop it first" in ended.err


def test_a_taken_port_is_refused(run: Run, up: Up, tmp_path: Path) -> None:
    """With the option that moves it."""
    ended = run("up", "--data", tmp_path / "other", "--otlp-port", up.otlp.rpartition(":")[2])
    assert ended.code == 2
    assert "cannot be used: Address already in use" in ended.err
    assert "--otlp-port" in ended.err
    assert not (tmp_path / "other").exists()


def test_ctrl_c_ends_the_server_and_the_folder_speaks_for_itself(tmp_path: Path) -> None:
    """Exit code 0 without a traceback; nothing acknowledged is lost; every command then reads the folder itself."""
    server = Up(tmp_path / "data")
    _export(server.otlp)
    ended = server.stop(signal.SIGINT)
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    runs = driftline("runs", "--data", tmp_path / "data", "--format", "json")
    assert {run["run_id"] for run in runs.json} == {"run-good", "run-twice"}
    report = driftline("report", "--data", tmp_path / "data", "--format", "json")
    assert (report.code, report.json["checked"]["spans"]) == (1, 5)
    assert driftline("show", "run-good", "--data", tmp_path / "data").code == 0
    assert driftline("doctor", "--data", tmp_path / "data").code == 0


def test_senders_that_dawdle_are_told_to_come_back_when_the_server_ends(tmp_path: Path) -> None:
    """Half a request holds the end up for seconds, not for ever, and is no error of ours."""
    up = Up(tmp_path / "data")
    with contextlib.ExitStack() as stack:
        dawdling = []
        for address, path in ((up.otlp, "/v1/traces"), (up.clickhouse, "/")):
            host, port = address.removeprefix("http://").split(":")
            sender = stack.enter_context(socket.create_connection((host, int(port))))
            sender.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf".encode())
            dawdling.append(sender)
        time.sleep(0.5)
        ended = up.stop()
        answers = [sender.recv(100) for sender in dawdling]
    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert [answer.split()[1] for answer in answers] == [b"503", b"503"]


def test_a_server_that_was_killed_leaves_a_folder_that_opens_again(tmp_path: Path) -> None:
    """Its announcement is not believed: neither a dead process nor another that has its number by now."""
    server = Up(tmp_path / "data")
    server.process.kill()
    server.process.communicate()
    said = json.loads((tmp_path / "data" / "server.json").read_text())
    assert driftline("runs", "--data", tmp_path / "data").code == 0
    (tmp_path / "data" / "server.json").write_text(json.dumps({**said, "pid": os.getpid()}))
    assert driftline("runs", "--data", tmp_path / "data").code == 0
    again = Up(tmp_path / "data")
    assert again.stop(signal.SIGTERM).code == 0


@contextlib.contextmanager
def _held(data: Path) -> Iterator[None]:
    """Some process that has the store open and offers no way in."""
    code = f"""
from driftline.collector.store import open_store
store = open_store({str(data)!r})
print("open", flush=True)
input()
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"open\n"
    try:
        yield
    finally:
        holder.communicate(b"\n")


def test_a_store_in_use_by_a_bare_process(tmp_path: Path) -> None:
    """Every command says so and ends with 2; doctor calls it broken and ends with 1."""
    with _held(tmp_path / "data"):
        for command in (["runs"], ["report"], ["findings"], ["show", "x"], _up_on_free_ports()):
            ended = driftline(*command, "--data", tmp_path / "data")
            assert (ended.code, ended.out) == (2, ""), command
            assert "is in use by another process" in ended.err
        doctor = driftline("doctor", "--data", tmp_path / "data")
        assert doctor.code == 1
        assert "is in use by another process" in doctor.out


def test_a_store_of_a_newer_driftline(tmp_path: Path) -> None:
    """It is left alone."""
    code = f"""
from driftline.collector.store import open_store
with open_store({str(tmp_path / "data")!r}) as store:
    store.insert_rows("schema_migrations", ["number", "name"], [[9999, "later"]])
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    for command in (["runs"], ["report"], _up_on_free_ports()):
        ended = driftline(*command, "--data", tmp_path / "data")
        assert ended.code == 2
        assert "9999" in ended.err
        assert "upgrade driftline" in ended.err


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    """A file, and a place where nothing can be made."""
    (tmp_path / "file").write_text("x")
    for data, says in ((tmp_path / "file", "is a file"), (tmp_path / "file" / "deep", "is a file")):
        ended = driftline(*_up_on_free_ports(), "--data", data)
        assert (ended.code, ended.out) == (2, "")
        assert says in ended.err
        assert "--data" in ended.err
    assert driftline("report", "--data", tmp_path / "file").code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    """What is missing, and what to do."""
    (tmp_path / "data").mkdir(mode=0o500)
    ended = driftline(*_up_on_free_ports(), "--data", tmp_path / "data")
    assert ended.code == 2
    assert "Permission denied" in ended.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["up", "--otlp-port", "99999"], "65535"),
        (["up", "--data", "http://127.0.0.1:8123"], "give a folder with --data"),
        (["up", "--data", "~nobody-of-that-name/x"], "cannot be found from here"),
        (["runs", "--data", "~nobody-of-that-name/x"], "cannot be found from here"),
        (["runs", "--data", "http://[::1"], "did not let us in"),
        (["report", "--data", "http://127.0.0.1:99999/x"], "did not let us in"),
    ],
)
def test_a_place_that_is_none(tmp_path: Path, line: list[str], says: str) -> None:
    """Named, with what to do; no error of ours."""
    ended = driftline(*line, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert len(ended.err.splitlines()) == 2


def test_no_store_yet(tmp_path: Path) -> None:
    """Reading makes none, and says how to get one."""
    for command in (["runs"], ["report"], ["findings"], ["show", "x"]):
        ended = driftline(*command, "--data", tmp_path / "none")
        assert ended.code == 2
        assert "driftline up" in ended.err
    assert driftline("doctor", "--data", tmp_path / "none").code == 0
    assert not (tmp_path / "none").exists()


def test_ports_in_use_are_noted_by_doctor(tmp_path: Path) -> None:
    """Before one tries."""
    with socket.socket() as taken:
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", 4318))
            taken.listen()
        found = driftline("doctor", "--data", tmp_path / "none", "--format", "json").json
    assert any("port 4318" in entry["what"] and entry["state"] == "note" for entry in found)


def _up_on_free_ports() -> list[str]:
    otlp, web, clickhouse = map(str, free_ports(3))
    return ["up", "--otlp-port", otlp, "--web-port", web, "--clickhouse-port", clickhouse, "--grpc-port", "0"]


def test_ctrl_c_while_the_server_starts(tmp_path: Path) -> None:
    """It ends as cleanly as later."""
    process = begin(*_up_on_free_ports(), "--data", tmp_path / "data")
    _until((tmp_path / "data").exists)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err


def test_what_a_killed_server_left_half_way_does_not_stay(tmp_path: Path) -> None:
    """Batches on their way into the engine hold what was sent; they lie in the data folder, gone at the next start."""
    (tmp_path / "data" / "tmp").mkdir(parents=True)
    (tmp_path / "data" / "tmp" / "left.raw").write_bytes(b"secret")
    server = Up(tmp_path / "data")
    try:
        assert (tmp_path / "data" / "tmp").stat().st_mode & 0o777 == 0o700
        assert list((tmp_path / "data" / "tmp").iterdir()) == []
    finally:
        server.stop()
    assert not (tmp_path / "data" / "tmp").exists()
