"""`driftline import tau`: an invented hotel desk's trajectories become the spans a traced agent would have sent."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from driftline.analyzers import load_catalogue
from driftline.canonical import digest
from driftline.cli.importers.source import UnreadableRecording
from driftline.cli.importers.tau import read_oracle, read_trajectories
from driftline.cli.importers.tau_spans import request_of
from driftline.collector.nested import value_of
from driftline.collector.otlp import parse_json

HOTEL = Path(__file__).parents[1] / "data" / "tau_hotel"
RECORDING, TOOLS, ORACLE = (str(HOTEL / name) for name in ("trajectories.json", "tools.toml", "oracle.jsonl"))
INTENT = '[hotel.book_room]\nintent = ["$.guest_id", "$.hotel", "$.night", "$.room"]'


def spans(run: str = "tau-hotel-0-0", **options: Any) -> list[Span]:
    """The spans of one run of the recording."""
    catalogue = load_catalogue(TOOLS)
    (wanted,) = (r for r in read_trajectories(RECORDING, catalogue.groups) if r.run == run)
    (group,) = request_of(wanted, catalogue, "small-1", **options).resource_spans
    (scope,) = group.scope_spans
    return list(scope.spans)


def said(span: Span) -> dict[str, Any]:
    """The attributes of a span."""
    return {attribute.key: value_of(attribute.value) for attribute in span.attributes}


def tools(found: list[Span]) -> list[dict[str, Any]]:
    """The attributes of the tool spans, in order."""
    return [said(span) for span in found if span.name.startswith("execute_tool")]


def driftline(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as its user would."""
    return subprocess.run(
        [sys.executable, "-m", "driftline", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_ids_come_from_the_place_in_the_recording() -> None:
    """Trace and span ids are digests of run id and position: the same recording gives the same ids everywhere."""
    trace = hashlib.sha256(b"tau-hotel-0-0").digest()[:16]
    by_name = {span.name: span.span_id for span in spans() if span.name.startswith("invoke_")}
    places = {"invoke_workflow tau-hotel": "run|0", "invoke_agent hotel_agent": "agent|0"}
    assert by_name == {
        name: hashlib.sha256(f"{trace.hex()}|{place}".encode()).digest()[:8] for name, place in places.items()
    }
    assert {span.trace_id for span in spans()} == {trace}
    booked = [span for span in spans() if span.name == "execute_tool book_room"]
    assert booked[1].span_id == hashlib.sha256(f"{trace.hex()}|10|0".encode()).digest()[:8]
    assert len({span.span_id for span in spans(oracle=read_oracle(ORACLE))}) == len(spans(oracle=read_oracle(ORACLE)))


def test_the_tree_is_run_agent_and_what_the_agent_did() -> None:
    """Model and tool calls hang under the agent, in the order of the messages; user messages are no spans."""
    run, agent, *rest = spans("tau-hotel-0-1")
    assert (run.parent_span_id, agent.parent_span_id) == (b"", run.span_id)
    assert {span.parent_span_id for span in rest} == {agent.span_id}
    assert [span.name for span in rest] == [
        "chat small-1", "execute_tool get_guest", "execute_tool get_bill", "chat small-1", "execute_tool think",
        "chat small-1", "execute_tool transfer_to_human_agents",
    ]  # fmt: skip
    assert said(agent)["gen_ai.conversation.id"] == "tau-hotel-0-1"
    assert {said(span)["driftline.run.id"] for span in (run, agent, *rest)} == {"tau-hotel-0-1"}


@pytest.mark.parametrize(
    ("run", "outcome"), [("tau-hotel-0-0", "complete"), ("tau-hotel-0-1", "partial"), ("tau-hotel-1-0", "cancelled")]
)
def test_the_end_of_the_conversation_is_what_the_run_claims(run: str, outcome: str) -> None:
    """Ended by the user, handed to a person, or broken off."""
    assert said(spans(run)[0])["driftline.outcome"] == outcome


def test_answers_go_to_the_next_open_call_and_ids_only_break_ties() -> None:
    """One id is reused for every call of the run; within a message it tells which answer is whose."""
    guest, bill, think, handover = tools(spans("tau-hotel-0-1"))
    assert guest["gen_ai.tool.call.result"] == '{"guest_id": "ada_9"}'
    assert bill["gen_ai.tool.call.result"] == "120.00"
    assert think["gen_ai.tool.call.result"] == ""
    assert handover["gen_ai.tool.call.result"] == "Transfer successful"
    assert [call["gen_ai.tool.call.id"] for call in (guest, think, handover)] == ["same"] * 3
    assert [call["driftline.call.id"] for call in (guest, bill)] == ["tau-hotel-0-1/2.0", "tau-hotel-0-1/2.1"]


def test_a_call_without_an_answer_has_an_unknown_outcome() -> None:
    """The recording breaks off: nobody knows what the call did. Arguments that are no JSON stay the model's text."""
    bill, sent = tools(spans("tau-hotel-1-0"))
    assert bill["gen_ai.tool.call.arguments"] == '{"guest_id": "bob_3"'
    assert "gen_ai.tool.call.result" not in sent
    assert sent["driftline.effect.outcome"] == "unknown"


def test_arguments_are_objects_with_digests() -> None:
    """Arguments keep their types, results their text, and both have the digest of the wire vocabulary."""
    first, second = (call for call in tools(spans()) if call["driftline.call.id"].endswith(("/6.0", "/10.0")))
    assert second["gen_ai.tool.call.arguments"]["payment"] == {"id": "card_7", "amount": 80.5}
    assert second["driftline.call.args_digest"] == digest(second["gen_ai.tool.call.arguments"])
    assert first["driftline.call.args_digest"] != second["driftline.call.args_digest"]
    assert first["driftline.call.result_digest"] == digest(first["gen_ai.tool.call.result"])


def test_effects_come_from_the_catalogue_and_outcomes_from_the_answer() -> None:
    """Writes say what came of them, reads do not; a result that begins with Error is a refusal and an error status."""
    found = tools(spans())
    assert [call.get("driftline.effect.outcome") for call in found] == [
        None, "applied", "applied", "applied", "refused", "refused", "applied",
    ]  # fmt: skip
    assert found[3]["driftline.effect"] == "destructive"
    assert found[1]["driftline.effect.targets"] == ["guest/ada_9"]
    failed = [span for span in spans() if span.status.code == Status.STATUS_CODE_ERROR]
    assert [said(span)["gen_ai.tool.call.result"][:5] for span in failed] == ["Error", "Error"]


def test_order_is_told_by_the_logical_clock_without_a_gap() -> None:
    """Starts and ends count on by one; a call begins after the model's turn has ended; the clock is named synthetic."""
    catalogue = load_catalogue(TOOLS)
    run = read_trajectories(RECORDING, catalogue.groups)[0]
    (group,) = request_of(run, catalogue, "small-1", oracle=read_oracle(ORACLE)).resource_spans
    found = [said(span) for span in group.scope_spans[0].spans]
    ticks = sorted(tick for span in found for tick in (span["driftline.seq"], span["driftline.seq.end"]))
    assert ticks == list(range(1, 2 * len(found) + 1))
    turns = [span for span in found if span["gen_ai.operation.name"] == "chat"]
    calls = [span for span in found if span["gen_ai.operation.name"] == "execute_tool"]
    assert turns[0]["driftline.seq.end"] < calls[0]["driftline.seq"] < calls[0]["driftline.seq.end"]
    resource = {attribute.key: value_of(attribute.value) for attribute in group.resource.attributes}
    assert resource == {
        "service.name": "tau-hotel-agent",
        "service.version": "small-1",
        "service.instance.id": "tau-hotel-0-0",
        "driftline.clock": "synthetic",
    }


def test_a_message_lasts_from_its_second_to_its_answer() -> None:
    """Message i starts i seconds after the first one."""
    run, agent, *rest = spans("tau-hotel-0-1")
    start = run.start_time_unix_nano
    guest, bill = (span for span in rest if span.name.endswith(("get_guest", "get_bill")))
    assert [(s.start_time_unix_nano - start) / 1e9 for s in (guest, bill)] == [2, 2]
    assert [(s.end_time_unix_nano - start) / 1e9 for s in (guest, bill)] == [4, 3]
    assert run.end_time_unix_nano == agent.end_time_unix_nano == start + 8 * 10**9


def test_the_oracle_becomes_reads_and_writes_inside_the_calls() -> None:
    """Versions and their parents as the replay says; what did not exist before is created."""
    found = [said(span) for span in spans(oracle=read_oracle(ORACLE)) if span.name.endswith((" guest", " booking"))]
    members = ("gen_ai.operation.name", "driftline.memory.keys", "driftline.memory.versions")
    assert [tuple(m[name] for name in members) for m in found][:3] == [
        ("read_memory", ["ada_9"], ["v0"]),
        ("create_memory", ["B1"], ["v1"]),
        ("update_memory", ["ada_9"], ["v1"]),
    ]  # fmt: skip
    assert [m.get("driftline.memory.parents") for m in found][:3] == [None, ["init"], ["v0"]]
    assert {m["driftline.memory.version_kind"] for m in found} == {"native"}


def test_expected_writes_become_obligations_only_when_asked() -> None:
    """Reads among the expected actions promise nothing; repeated writes are counted. Reward goes on no span."""
    assert "driftline.expects" not in said(spans()[0])
    assert said(spans(expects=True)[0])["driftline.expects"] == ["tool:book_room"]
    assert said(spans("tau-hotel-1-0", expects=True)[0])["driftline.expects"] == [
        "tool:send_bill*2",
        "tool:cancel_booking",
    ]
    assert not any("reward" in key for run in ("tau-hotel-0-0", "tau-hotel-1-0") for s in spans(run) for key in said(s))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hello", "line 1, column 1: this is not JSON"),
        ('{"trace": {}}', "expected a JSON array of runs, found an object"),
        ("[]", "the array is empty"),
        ('[{"task_id": 1, "traj": []}, {"trial": 0}]', "element 1: task_id: expected a number, found nothing"),
        ('[{"task_id": 1, "traj": [3]}]', r"element 0 \(task 1, trial 0\): traj\[0\]: expected a message, found a num"),
        (
            '[{"task_id": 1, "traj": [{"role": "assistant", "tool_calls": [{"function": {}}]}]}]',
            r"traj\[0\].tool_calls\[0\].function.name: expected the name of a tool, found nothing",
        ),
        ('[{"task_id": 1, "traj": []}, {"task_id": 1, "traj": []}]', "element 1: the same task_id and trial as elem"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_explained_by_where_it_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    """No JSON, another shape, a missing member, a run given twice: with the position of the element."""
    file = tmp_path / "wrong.json"
    file.write_text(text)
    with pytest.raises(UnreadableRecording, match=complaint):
        read_trajectories(str(file), {}, "hotel")


def test_the_domain_is_asked_for_when_the_tools_do_not_tell(tmp_path: Path) -> None:
    """Run ids hold the domain, so it is not guessed at."""
    file = tmp_path / "runs.json"
    file.write_text('[{"task_id": 1, "traj": []}]')
    with pytest.raises(UnreadableRecording, match="--domain"):
        read_trajectories(str(file), load_catalogue(TOOLS).groups)
    assert read_trajectories(str(file), {}, "hotel")[0].run == "tau-hotel-1-0"


def test_an_oracle_of_another_recording_is_refused(tmp_path: Path) -> None:
    """A run that is missing, or a call that is another one, would put state where it never was."""
    oracle = tmp_path / "oracle.jsonl"
    oracle.write_text('{"run": "tau-hotel-0-0", "calls": []}\n')
    with pytest.raises(UnreadableRecording, match="no line for run tau-hotel-0-1 and 1 more"):
        read_oracle(str(oracle)).check_covers(["tau-hotel-0-0", "tau-hotel-0-1", "tau-hotel-1-0"])
    call = {"message": 2, "call": 0, "tool": "book_room", "read": [], "changed": []}
    oracle.write_text(json.dumps({"run": "tau-hotel-0-0", "calls": [call]}))
    with pytest.raises(
        UnreadableRecording, match="message 2, call 0 is book_room there and get_guest in the recording"
    ):
        spans(oracle=read_oracle(str(oracle)))


def test_import_stores_judges_and_adds_nothing_when_repeated(tmp_path: Path) -> None:
    """After one command the runs are listed and judged; the same command again changes nothing."""
    data = tmp_path / "data"
    command = ("import", "tau", RECORDING, "--catalog", TOOLS, "--oracle", ORACLE, "--data", data, "--format", "json")
    first, second = driftline(*command), driftline(*command)
    assert (first.returncode, json.loads(first.stdout)["runs"]) == (0, 3), first.stderr
    assert json.loads(second.stdout) == json.loads(first.stdout)
    listed = json.loads(driftline("runs", "--data", data, "--format", "json").stdout)
    assert sorted(run["run_id"] for run in listed) == ["tau-hotel-0-0", "tau-hotel-0-1", "tau-hotel-1-0"]
    assert {run["run_id"]: run["spans"] for run in listed}["tau-hotel-0-0"] == len(spans(oracle=read_oracle(ORACLE)))


def test_what_is_suggested_next_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The import counts what the report counts; the report says how to read on, whatever folder the data is in."""
    monkeypatch.setenv("COLUMNS", "400")
    data = tmp_path / "my data"
    said = driftline("import", "tau", RECORDING, "--catalog", TOOLS, "--data", data).stdout
    shown = driftline("report", "--data", data).stdout
    assert shown.split("  ")[1].strip() in said
    see = [line.split(maxsplit=1)[1] for line in shown.splitlines() if line.split()[:1] == ["see"]]
    assert see
    for command in see:
        assert driftline(*shlex.split(command)[1:]).returncode == 0, command


def test_a_double_booking_names_the_pair_that_stays_live(tmp_path: Path) -> None:
    """Two bookings with different arguments, a third cancelled in between: possible by default, definite by the word
    of the catalogue; refused repeats are never effects; times that were made up are not judged."""
    data, declared = tmp_path / "data", tmp_path / "declared.toml"
    declared.write_text(Path(TOOLS).read_text().replace("[hotel.book_room]", INTENT))
    assert driftline("import", "tau", RECORDING, "--catalog", TOOLS, "--data", data).returncode == 0
    default = json.loads(driftline("report", "--data", data, "--catalog", TOOLS, "--format", "json").stdout)
    certain = driftline("report", "--data", data, "--catalog", declared, "--format", "json")
    assert (default["verdict"], certain.returncode, json.loads(certain.stdout)["verdict"]) == ("pass", 1, "fail")
    booked = [span.span_id.hex() for span in spans() if span.name == "execute_tool book_room"]
    for report, grade in ((default, "possible"), (json.loads(certain.stdout), "definite")):
        assert [f["anomaly"] for f in report["findings"]] == ["double_intent", "refused_repeat"]
        double, refused = report["findings"]
        roles = {span["role"]: span["span_id"] for span in double["spans"]}
        assert (double["grade"], double["subject"]) == (grade, "guest/ada_9")
        assert (roles["first"], roles["undone"], roles["second"]) == (booked[0], booked[1], booked[4])
        assert refused["severity"] == "info"
        assert "The repeat was made by the model, which asked for it again." in refused["explanation"]["then"]
        timing = [entry for entry in report["not_checked"] if entry["detector"] == "timing_drift"]
        assert "synthetic" in timing[0]["reason"]


def test_the_spans_can_be_written_for_check(tmp_path: Path) -> None:
    """`--out` stores nothing: OTLP/JSON lines, the same bytes each time, which `driftline check` judges."""
    files = [tmp_path / name for name in ("one.jsonl", "two.jsonl")]
    for file in files:
        assert driftline("import", "tau", RECORDING, "--catalog", TOOLS, "--out", file).returncode == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    first = parse_json(files[0].read_text().splitlines()[0])
    assert list(first.resource_spans[0].scope_spans[0].spans) == [*spans_of_model("gpt-4o")]
    checked = json.loads(driftline("check", files[0], "--catalog", TOOLS, "--format", "json").stdout)
    assert (checked["checked"]["runs"], len(checked["findings"])) == (3, 2)


def spans_of_model(model: str) -> list[Span]:
    """The spans of the first run, said to be of *model*."""
    catalogue = load_catalogue(TOOLS)
    run = read_trajectories(RECORDING, catalogue.groups)[0]
    return list(request_of(run, catalogue, model).resource_spans[0].scope_spans[0].spans)


def test_a_wrong_file_ends_with_two_and_leaves_no_store(tmp_path: Path) -> None:
    """The contract's code for input that cannot be read; nothing is created on the way."""
    result = driftline("import", "tau", TOOLS, "--catalog", TOOLS, "--data", tmp_path / "data")
    assert result.returncode == 2
    assert "this is not JSON" in result.stderr
    assert not (tmp_path / "data").exists()
