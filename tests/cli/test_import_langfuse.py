"""`driftline import langfuse`: an exported trace becomes the spans again that were sent to Langfuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from histories import fresh_store
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from driftline.cli.importers.langfuse import read_trace
from driftline.cli.importers.source import UnreadableRecording
from driftline.collector.nested import value_of
from driftline.collector.otlp import framed

EXPORT = str(Path(__file__).parents[1] / "data" / "langfuse" / "hotel.trace.json")


def spans() -> dict[str, Span]:
    """Every span of the export by the end of its id; the one whose id is no OpenTelemetry id is `old`."""
    found = {}
    for request in read_trace(EXPORT):
        for group in request.resource_spans:
            for scoped in group.scope_spans:
                for span in scoped.spans:
                    name = span.span_id.hex()
                    found[name[-2:] if name.startswith("00000000") else "old"] = span
    return found


def said(span: Span) -> dict[str, Any]:
    """The attributes of a span."""
    return {attribute.key: value_of(attribute.value) for attribute in span.attributes}


def test_every_observation_is_a_span_under_its_resource_and_scope() -> None:
    """Resource and scope are restored, one group for each pair, whether the metadata was text or an object."""
    requests = read_trace(EXPORT)
    scopes = {r.resource_spans[0].scope_spans[0].scope.name: r.resource_spans[0] for r in requests}
    assert {name: len(group.scope_spans[0].spans) for name, group in scopes.items()} == {
        "langfuse-sdk": 2,
        "openinference.instrumentation.hotel": 2,
        "hotel.tools": 2,
    }
    resource = {a.key: value_of(a.value) for a in scopes["hotel.tools"].resource.attributes}
    assert resource == {"service.name": "desk", "service.version": "1.2", "process.pid": 42}


def test_tree_times_and_failure_are_kept() -> None:
    """Parents, RFC 3339 times of any zone, the level of an error with its message."""
    found = spans()
    root, agent, call, failed = (found[name] for name in ("a1", "a2", "a4", "a5"))
    assert (root.parent_span_id, agent.parent_span_id, call.parent_span_id) == (b"", root.span_id, agent.span_id)
    assert call.start_time_unix_nano - root.start_time_unix_nano == 2_000_000_000
    assert root.end_time_unix_nano - root.start_time_unix_nano == 5_250_000_000
    assert (failed.status.code, failed.status.message) == (Status.STATUS_CODE_ERROR, "no room left")
    assert call.status.code == Status.STATUS_CODE_UNSET


def test_values_get_back_the_type_their_convention_gives_them() -> None:
    """Token counts are numbers and finish reasons a list again; text stays text."""
    found = spans()
    assert said(found["a3"])["llm.token_count.prompt"] == 31
    assert said(found["a4"])["gen_ai.response.finish_reasons"] == ["stop"]
    assert said(found["a4"])["gen_ai.tool.call.id"] == "call_1"


def test_input_and_output_come_back_where_the_attributes_lack_them() -> None:
    """The framework's own word comes first; objects are written as JSON text."""
    found = spans()
    assert said(found["a4"])["langfuse.observation.input"] == '{"room":"double"}'
    assert said(found["a5"])["langfuse.observation.input"] == '{"room":"double"}'
    assert said(found["a4"])["langfuse.observation.output"] == '{"booking_id":"B1"}'
    assert "langfuse.observation.input" not in said(found["a3"])
    assert said(found["a3"])["langfuse.observation.output"] == "calling"


def test_what_langfuse_guessed_of_other_programs_is_left_out() -> None:
    """Kind, model and usage come back for the spans of Langfuse's own SDK only."""
    found = spans()
    assert not [key for key in said(found["a3"]) if key.startswith("langfuse.observation.usage")]
    assert said(found["old"])["langfuse.observation.type"] == "generation"
    assert json.loads(said(found["old"])["langfuse.observation.usage_details"]) == {"input": 12, "output": 3}
    assert said(found["a1"])["langfuse.session.id"] == "conv-7"


def test_an_observation_that_never_ended_is_an_open_span() -> None:
    """No end is no zero duration: the span is said to be still open. Its own kind of id becomes a stable one."""
    old = spans()["old"]
    assert old.end_time_unix_nano == old.start_time_unix_nano
    assert said(old)["driftline.pending"] is True
    assert old.span_id == spans()["old"].span_id


def test_the_steps_say_what_the_frameworks_said() -> None:
    """Once stored: kinds, agent, tool, model, tokens and conversation in canonical terms."""
    store = fresh_store()
    store.insert_requests(b"".join(framed(r.SerializeToString()) for r in read_trace(EXPORT)), "langfuse")
    rows = {
        row["span_id"][-2:]: row
        for row in store.rows(
            "SELECT span_id, kind, dialect, agent, tool, tool_call_id, model, tokens_input, conversation_id, workflow,"
            " step_name, args_state, args_digest FROM steps FINAL"
        )
    }
    assert (rows["a1"]["workflow"], rows["a1"]["conversation_id"]) == ("hotel desk", "conv-7")
    assert (rows["a2"]["kind"], rows["a2"]["agent"], rows["a2"]["conversation_id"]) == ("agent", "desk", "conv-7")
    assert (rows["a3"]["kind"], rows["a3"]["model"], rows["a3"]["tokens_input"]) == ("llm", "small-1", 31)
    assert [rows[name]["kind"] for name in ("a4", "a5")] == ["tool", "tool"]
    assert [rows[name]["tool"] for name in ("a4", "a5")] == ["book_room", "book_room"]
    assert rows["a4"]["args_digest"] == rows["a5"]["args_digest"] != ""
    (old,) = (row for name, row in rows.items() if not name.startswith("a"))
    assert (old["kind"], old["model"], old["tokens_input"], old["step_name"]) == ("llm", "small-1", 12, "reply")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "expected an exported trace: an object with trace and observations, found an array"),
        ('{"trace": {"id": "t"}}', "observations: expected an array of observations, found nothing"),
        ('{"trace": {"id": "t"}, "observations": []}', "the trace has no observations"),
        ('{"trace": {"id": "t"}, "observations": [{"id": "a"}]}', r"observations\[0\].startTime: expected a time"),
        (
            '{"trace": {"id": "t"}, "observations": [{"id": "a", "startTime": "yesterday"}]}',
            r"observations\[0\].startTime: 'yesterday' is no time",
        ),
        (
            '{"trace": {"id": "t"}, "observations": [{"id": "a", "metadata": "{"}]}',
            r"observations\[0\].metadata: this is not JSON",
        ),
    ],
)
def test_a_wrong_file_is_explained_by_where_it_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    """Another shape, a missing member, a time that is none: with the position of the observation."""
    file = tmp_path / "wrong.json"
    file.write_text(text)
    with pytest.raises(UnreadableRecording, match=complaint):
        read_trace(str(file))


def test_one_bad_file_among_many_stores_nothing(tmp_path: Path) -> None:
    """Files are read before anything is stored; the one that is wrong is named."""
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    command = ["import", "langfuse", EXPORT, str(bad), "--data", str(tmp_path / "data")]
    result = subprocess.run([sys.executable, "-m", "driftline", *command], capture_output=True, text=True, check=False)
    assert (result.returncode, "bad.json" in result.stderr) == (2, True)
    assert not (tmp_path / "data").exists()
