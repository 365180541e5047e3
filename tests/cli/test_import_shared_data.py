"""The importers over the recordings kept for development beside the checkout: what is found, against what happened."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from driftline.analyzers import load_catalogue

DATA = Path(os.environ.get("DRIFTLINE_SHARED_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
TOOLS = DATA / "tau_tools.toml"
FILES = {"airline": "tau_airline_even", "retail": "tau_retail"}

pytestmark = pytest.mark.skipif(not TOOLS.is_file(), reason="the shared recordings are not here")


def driftline(*arguments: object) -> str:
    """Run the command as its user would; what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "driftline", *map(str, arguments)], capture_output=True, text=True, check=False
    ).stdout


def imported(folder: Path, *options: str) -> list[Path]:
    """Both domains as OTLP/JSON, with the state that the oracle knows."""
    found = []
    for domain, name in FILES.items():
        found.append(folder / f"{domain}.jsonl")
        replay = ("--oracle", DATA / f"{name}_oracle.jsonl.gz", *options)
        driftline("import", "tau", DATA / f"{name}.json.gz", "--catalog", TOOLS, *replay, "--out", found[-1])
    return found


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The recordings without obligations."""
    return imported(tmp_path_factory.mktemp("tau"))


@cache
def runs() -> dict[str, dict[str, Any]]:
    """The recorded runs by id."""
    return {
        f"tau-{domain}-{element['task_id']}-{element['trial']}": element
        for domain, name in FILES.items()
        for element in json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))
    }


@cache
def calls() -> list[dict[str, Any]]:
    """Every recorded call with its run, its arguments, its result and what the replay says it changed."""
    found = []
    for name in FILES.values():
        replay = gzip.decompress((DATA / f"{name}_oracle.jsonl.gz").read_bytes()).splitlines()
        for line in map(json.loads, replay):
            messages = runs()[line["run"]]["traj"]
            for call in line["calls"]:
                asked = messages[call["message"]]["tool_calls"][call["call"]]["function"]["arguments"]
                arguments = json.dumps(json.loads(asked), sort_keys=True)
                answer = messages[call["result_message"]]["content"]
                found.append({**call, "run": line["run"], "arguments": arguments, "result": answer})
    return found


def equal_calls(*effects: str) -> Iterator[list[dict[str, Any]]]:
    """Calls of one run with equal tool and arguments, two or more."""
    groups = defaultdict(list)
    for call in calls():
        if call["effect"] in effects:
            groups[call["run"], call["tool"], call["arguments"]].append(call)
    yield from (group for group in groups.values() if len(group) > 1)


@pytest.fixture(scope="module")
def report(lines: list[Path]) -> dict[str, Any]:
    """What the report says of all 150 runs."""
    found: dict[str, Any] = json.loads(driftline("check", *lines, "--catalog", TOOLS, "--format", "json"))
    return found


def of(report: dict[str, Any], anomaly: str) -> set[str]:
    """The runs with a finding of *anomaly*."""
    return {finding["run_id"] for finding in report["findings"] if finding["anomaly"] == anomaly}


def test_every_call_is_there(report: dict[str, Any]) -> None:
    """150 runs, 994 calls, every read and change of the replay as a memory operation."""
    assert report["checked"]["runs"] == 150
    assert len(calls()) == 994
    assert report["checked"]["memory_ops"] == sum(len(call["read"]) + len(call["changed"]) for call in calls())


def test_the_double_booking_is_the_only_effect_found_twice(report: dict[str, Any]) -> None:
    """No other run of the recording has two changes for one intent, and no other is reported."""
    (double,) = (f for f in report["findings"] if f["detector"] == "duplicate_effect" and f["severity"] != "info")
    assert (double["run_id"], double["anomaly"], double["grade"]) == ("tau-airline-0-3", "double_intent", "possible")
    roles = [span["role"] for span in double["spans"]]
    assert sorted(roles) == ["compensation", "first", "second", "undone"]
    assert "the first and the third stand" in double["title"]
    equal = equal_calls("write", "destructive")
    changed_twice = {group[0]["run"] for group in equal if sum(bool(call["changed"]) for call in group) > 1}
    assert changed_twice == {"tau-airline-0-3"}


def test_it_is_definite_once_the_catalogue_declares_the_intent(lines: list[Path], tmp_path: Path) -> None:
    """What makes two bookings one intent is the owner's word; with it the proof is complete, for this run alone."""
    tool = "[airline.book_reservation]"
    intent = 'intent = ["$.user_id", "$.origin", "$.destination", "$.flights"]'
    declared = tmp_path / "declared.toml"
    declared.write_text(TOOLS.read_text().replace(tool, f"{tool}\n{intent}"))
    found = json.loads(driftline("check", *lines, "--catalog", declared, "--format", "json"))
    assert found["verdict"] == "fail"
    assert [f["run_id"] for f in found["findings"] if f["grade"] == "definite"] == ["tau-airline-0-3"]


def test_refused_repeats_are_information_and_never_effects(report: dict[str, Any]) -> None:
    """Exactly the runs in which an equal call was refused more than once."""
    refused = {g[0]["run"] for g in equal_calls("write", "destructive") if sum(c["error"] for c in g) > 1}
    assert of(report, "refused_repeat") == refused != set()
    assert {f["severity"] for f in report["findings"] if f["anomaly"] == "refused_repeat"} == {"info"}


def test_reads_made_again_are_those_with_no_change_between(report: dict[str, Any]) -> None:
    """Equal reads with equal results, unless an accepted write of the run lies between them."""
    writes = defaultdict(list)
    for call in calls():
        if call["effect"] in ("write", "destructive") and not call["error"]:
            writes[call["run"]].append(call["message"])
    again = set()
    for group in equal_calls("read"):
        for one, other in pairwise(group):
            between = any(one["message"] < message < other["message"] for message in writes[one["run"]])
            if not between and not one["error"] and one["result"] == other["result"]:
                again.add(one["run"])
    assert of(report, "redundant_read") == again != set()


def test_state_is_never_called_stale_inside_a_single_agent(report: dict[str, Any]) -> None:
    """One agent that reads what it wrote itself, in one process: nothing to find in 636 memory operations."""
    assert not [f for f in report["findings"] if f["detector"] == "stale_context"]


def test_without_obligations_nothing_is_called_incomplete(report: dict[str, Any]) -> None:
    """Refusals, failed look-ups replaced by others and empty results of `think` are everyday work."""
    assert not [f for f in report["findings"] if f["detector"] == "partial_completion"]


def test_obligations_not_met_are_exactly_those_found(tmp_path: Path) -> None:
    """A run that was ended as done without an expected write: each is found, and nothing else is."""
    effects = {name: tool.effect for name, tool in load_catalogue(TOOLS).tools.items()}
    applied = Counter((call["run"], call["tool"]) for call in calls() if not call["error"])
    unmet = set()
    for run, element in runs().items():
        expected = Counter(action["name"] for action in element["info"]["task"]["actions"])
        if "###STOP###" in str(element["traj"][-1]["content"]) and element["traj"][-1]["role"] == "user":
            writes = {tool: n for tool, n in expected.items() if effects[tool] in ("write", "destructive")}
            unmet |= {(run, tool) for tool, n in writes.items() if applied[run, tool] < n}
    lines = imported(tmp_path, "--expects")
    found = json.loads(driftline("check", *lines, "--catalog", TOOLS, "--format", "json"))["findings"]
    missed = [f for f in found if f["detector"] == "partial_completion"]
    assert {(f["run_id"], f["subject"].removeprefix("tool:").partition("*")[0]) for f in missed} == unmet
    assert len(missed) == len(unmet) == 37


def test_times_that_were_made_up_are_not_judged(report: dict[str, Any]) -> None:
    """Timing is named as not checked, because the clocks are synthetic."""
    reasons = {entry["detector"]: entry["reason"] for entry in report["not_checked"]}
    assert "synthetic" in reasons["timing_drift"]


def test_twelve_frameworks_import_without_a_false_finding(tmp_path: Path) -> None:
    """Each trace is one run with its models and tools; none of them holds a failure."""
    files = sorted((DATA / "framework_traces").glob("*.json"))
    data = tmp_path / "data"
    said = json.loads(driftline("import", "langfuse", *files, "--data", data, "--format", "json"))
    assert (said["runs"], said["spans"]) == (12, 84)
    report = json.loads(driftline("report", "--data", data, "--format", "json"))
    assert (report["verdict"], report["findings"], report["checked"]["runs"]) == ("pass", [], 12)
    runs = {run["run_id"]: run for run in json.loads(driftline("runs", "--data", data, "--format", "json"))}
    assert {"joke_agent", "evaluator_agent"} == set(runs["7a38edd8123db47ad8dcb8aa4c5e3926"]["agents"])
    assert runs["7a38edd8123db47ad8dcb8aa4c5e3926"]["tokens_input"] == 265 + 417 + 502 + 131
    assert runs["b82a0bdc1994fc5d1c8576ca032543f7"]["agents"] == ["hello_agent"]
    assert runs["e1fde3efec57ce8a69bafd3fb928a7eb"]["conversation_id"] == "demo-thread-1"
