"""The command as a process: quick to start, quiet when interrupted, content with a reader that leaves."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command import COMMAND, begin, driftline, environment
from record_files import CLEAN, FAULTY, protobuf

HEAVY = ("chdb", "polars", "fastapi", "uvicorn", "clickhouse_connect", "numpy", "scipy", "pyarrow")


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A record with one error."""
    (tmp_path / "faulty.pb").write_bytes(protobuf(FAULTY))
    return tmp_path / "faulty.pb"


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["report", "--help"], ["version"], ["chek"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """What answers without data does not load the engine, the frames or the web."""
    code = f"""
import sys
sys.argv = ["driftline", *{arguments!r}]
from driftline.cli import main
main()
print("loaded:", *sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_the_command_is_the_module(faulty: Path) -> None:
    """`driftline` and `python -m driftline` are one."""
    script = Path(sys.executable).parent / "driftline"
    done = subprocess.run([script, "check", faulty], capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode, done.stdout) == (1, driftline("check", faulty).out)


@pytest.mark.parametrize("fmt", ["text", "json", "sarif"])
def test_a_reader_that_leaves_changes_no_exit_code(faulty: Path, fmt: str) -> None:
    """`driftline check … | head -0` still ends with the verdict, and says nothing of a broken pipe."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [*COMMAND, "check", str(faulty), "--format", fmt], stdout=write, stderr=subprocess.PIPE, env=environment()
    )
    os.close(write)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (1, b"")


def test_a_closed_pipe_while_help_is_printed() -> None:
    """Also what typer prints itself."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen([*COMMAND, "--help"], stdout=write, stderr=subprocess.PIPE, env=environment())
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")


def _wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


@pytest.mark.parametrize("later", [0.0, 0.3, 0.8])
def test_ctrl_c_in_the_middle_of_check(tmp_path: Path, later: float) -> None:
    """Exit code 130, no traceback, no result, nothing left in the temporary folder."""
    record = tmp_path / "big.pb"
    record.write_bytes(b"".join(protobuf(CLEAN.replace("run=fine", f"run=r{number}")) for number in range(1500)))
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    process = begin("check", record, env={"TMPDIR": str(scratch)})
    _wait_for(lambda: any(scratch.iterdir()))
    time.sleep(later)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    assert not list(scratch.iterdir())


def test_ctrl_c_in_the_middle_of_report(tmp_path: Path) -> None:
    """The same, and the store is free again."""
    code = f"""
import sys
from driftline.analyzers import install_views
from driftline.collector.store import open_store
with open_store({str(tmp_path / "data")!r}) as store:
    install_views(store)
    store.insert_requests(sys.stdin.buffer.read(), "one")
"""
    spans = b"".join(protobuf(FAULTY.replace("run=twice", f"run=r{number}")) for number in range(1500))
    subprocess.run([sys.executable, "-c", code], input=spans, check=True)
    process = begin("report", "--data", tmp_path / "data")
    _wait_for((tmp_path / "data" / "store" / "status").exists)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    assert driftline("runs", "--data", tmp_path / "data", "--limit", "1").code == 0


def test_colour_is_for_terminals_and_may_be_declined(faulty: Path) -> None:
    """A terminal gets colours; NO_COLOR and a pipe do not; the words are the same."""
    coloured, plain = _in_terminal(faulty, {}), _in_terminal(faulty, {"NO_COLOR": "1"})
    assert "\x1b[1;" in coloured
    assert "\x1b[" not in plain.replace("\x1b[?25", "").replace("\x1b[1A", "").replace("\x1b[2K", "")
    assert "charge ran twice" in coloured
    assert "charge ran twice" in plain


def test_output_follows_the_terminal_width(faulty: Path) -> None:
    """COLUMNS is heeded."""
    lines = driftline("check", faulty, env={"COLUMNS": "60"}).out.splitlines()
    assert max(map(len, lines)) <= 60


def test_a_width_beyond_all_screens_is_no_error(faulty: Path) -> None:
    """Lines end where text is still pleasant to read."""
    ended = driftline("check", faulty, env={"COLUMNS": "99999999999"})
    assert "charge ran twice" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 500


@pytest.mark.parametrize("closing", [">&-", ">&- 2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_change_no_exit_code(faulty: Path, closing: str) -> None:
    """As a daemon or a careless script starts a command."""
    line = f"{shlex.join([*COMMAND, 'check', str(faulty)])} {closing}"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, env=environment(), timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_output_onto_a_full_disk_is_said_in_words(faulty: Path) -> None:
    """Exit code 2, one message, nothing more at exit."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "check", faulty],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=120,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.decode().startswith("driftline: no space is left: ")
    assert len(done.stderr.splitlines()) == 2


def test_an_ascii_terminal_gets_escapes_not_an_error(tmp_path: Path) -> None:
    """A name that the output's encoding cannot say does not end the report."""
    (tmp_path / "x.pb").write_bytes(protobuf(FAULTY.replace("tool(charge)", "tool(zählen)")))
    ended = driftline("check", tmp_path / "x.pb", env={"PYTHONIOENCODING": "ascii"})
    assert ended.code == 1
    assert "z\\xe4hlen" in ended.out


def _in_terminal(record: Path, env: dict[str, str]) -> str:
    """What `driftline check` writes to a terminal on standard output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "check", str(record)],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment({"TERM": "xterm", **env}),
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert process.wait(timeout=60) == 1
    assert process.stderr is not None
    process.stderr.close()
    return said.decode()
