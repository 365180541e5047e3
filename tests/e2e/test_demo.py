"""`driftline demo` as a user types it."""

from __future__ import annotations

import re
import signal
import socket
import urllib.request
from pathlib import Path

import command
import pytest

pytestmark = pytest.mark.e2e


def ports() -> tuple[str, ...]:
    """Options for ports of our own, so that tests run beside a server."""
    numbers = command.free_ports(3)
    names = ("--otlp-port", "--web-port", "--clickhouse-port")
    return tuple(word for name, number in zip(names, numbers, strict=True) for word in (name, str(number)))


def test_the_demo_prints_what_it_found_and_ends(tmp_path: Path) -> None:
    """The verdict, the finding with its evidence and its page, and how that compares with what was planted."""
    demo = command.driftline("demo", "--exit", "--runs", "2", "--faults", "stale_plan", *ports(), cwd=tmp_path)
    assert demo.code == 0, demo.err
    assert demo.out.startswith(" FAIL   1 error    3 runs,")
    assert "stale_context.handoff_stale  definite, in 1 of 3 runs of article" in demo.out
    assert (
        "writer read notebook/story-1-02/plan@v1 although a message sent after planner wrote v2 had reached it"
        in demo.out
    )
    assert re.search(r"where +newsroom/mistakes/stale\.py:\d+", demo.out)
    assert re.search(r"see +http://127\.0\.0\.1:\d+/findings/SC-[0-9a-f]{8}", demo.out)
    assert "1 of 1 mistakes found, each for what it is; 2 of 2 clean runs without a finding" in demo.out
    assert "nothing is sent anywhere" in demo.err
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_the_same_seed_gives_the_same_report(tmp_path: Path) -> None:
    """Names of runs, findings and their order: all but times, links, and what other agents spent meanwhile."""
    reports = []
    for _ in range(2):
        demo = command.driftline(
            "demo", "--exit", "--runs", "1", "--faults", "two_agents_act", "--seed", "9", *ports(), cwd=tmp_path
        )
        reports.append(re.sub(r"began .* after|127\.0\.0\.1:\d+|.*tokens were used\.\n", "", demo.out))
    assert reports[0] == reports[1]


def test_the_demo_goes_on_serving_until_it_is_interrupted(tmp_path: Path) -> None:
    """The pages show what was printed; Ctrl-C ends it, and the record stays where it was asked to."""
    data = tmp_path / "data"
    process = command.begin("demo", "--runs", "1", "--faults", "stale_plan", "--data", data, *ports(), cwd=tmp_path)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("data "):
            break
    (page,) = [word for line in lines for word in line.split() if "/findings/" in word]
    with urllib.request.urlopen(page, timeout=60) as answer:
        assert "plan@v1" in answer.read().decode()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert command.driftline("report", "--data", data, "--format", "json").json["checked"]["runs"] == 2


def test_runs_of_a_second_demo_do_not_mix_with_the_first(tmp_path: Path) -> None:
    """In one folder, with one seed: the runs get other names."""
    options = ("demo", "--exit", "--runs", "1", "--faults", "none", "--data", tmp_path / "data")
    assert [command.driftline(*options, *ports()).code for _ in range(2)] == [0, 0]
    report = command.driftline("report", "--data", tmp_path / "data", "--format", "json")
    assert report.json["checked"]["runs"] == 2
    assert report.json["findings"] == []


def test_a_port_that_is_taken_is_no_obstacle_unless_it_was_asked_for(tmp_path: Path) -> None:
    """A demo beside a server takes another port and says so; a port asked for is an error if it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        demo = command.driftline("demo", "--exit", "--web-port", str(number), cwd=tmp_path)
    assert demo.code == 2
    assert f"port {number}" in demo.err
    assert "--web-port" in demo.err


def test_an_unknown_mistake_is_explained(tmp_path: Path) -> None:
    """Before anything is started, with a near name."""
    demo = command.driftline("demo", "--exit", "--faults", "stale_plam", cwd=tmp_path)
    assert demo.code == 2
    assert "did you mean stale_plan?" in demo.err
