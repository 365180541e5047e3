"""`driftline check`: which files it reads, and what it says of those it cannot."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import histories
import pytest
from command import Ended
from record_files import CLEAN, FAULTY, as_json, jsonl, protobuf

Run = Callable[..., Ended]
FORMS = {
    "x.jsonl": jsonl,
    "x.json": jsonl,
    "x.pb": protobuf,
    "x.jsonl.gz": lambda text: gzip.compress(jsonl(text)),
    "x.json.gz": lambda text: gzip.compress(jsonl(text)),
    "x.pb.gz": lambda text: gzip.compress(protobuf(text)),
}
SPAN = '{"traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef","name":"x"}'


def _spans(*spans: str) -> bytes:
    return ('{"resourceSpans":[{"scopeSpans":[{"spans":[' + ",".join(spans) + "]}]}]}\n").encode()


@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_the_same(run: Run, tmp_path: Path, name: str) -> None:
    """JSON and protobuf, packed or not, are one record: the same verdict, counts and fingerprint."""
    (tmp_path / name).write_bytes(FORMS[name](FAULTY))
    (tmp_path / "clean.pb").write_bytes(protobuf(CLEAN))
    ended = run("check", name, "--format", "json")
    assert ended.code == 1
    assert ended.err == ""
    assert ended.json["checked"] == {"runs": 1, "spans": 4, "memory_ops": 0, "effects": 2}
    assert [finding["anomaly"] for finding in ended.json["findings"]] == ["repeated_effect"]
    assert ended.json["schema"] == 1
    assert ended.json["verdict"] == "fail"


@pytest.mark.parametrize("form", [jsonl, protobuf, lambda text: gzip.compress(jsonl(text))])
def test_standard_input(run: Run, form: Callable[[str], bytes]) -> None:
    """`-` reads any of the forms; nothing tells it which but the bytes."""
    ended = run("check", "-", "--format", "json", stdin=form(FAULTY))
    assert (ended.code, ended.json["checked"]["spans"]) == (1, 4)


def test_a_message_whose_length_looks_like_a_brace_is_protobuf(run: Run) -> None:
    """The length 123 is the byte `{`: what follows it decides."""
    (request,) = histories.requests("P1 run(order) run=r")
    span = request.resource_spans[0].scope_spans[0].spans[0]
    del span.attributes[:], request.resource_spans[0].resource.attributes[:]
    while request.ByteSize() < 123:
        span.name += "n"
    framed = histories.framed([request])
    assert framed[:1] == b"{"
    ended = run("check", "-", "--format", "json", stdin=framed)
    assert ended.json["checked"]["spans"] == 1, ended.err


def test_a_request_written_over_many_lines_is_read(run: Run, tmp_path: Path) -> None:
    """What `jq .` made of a line, several of them, with a byte order mark, is still read."""
    one, two = (json.dumps(as_json(histories.requests(text)[0]), indent=2) for text in (FAULTY, CLEAN))
    (tmp_path / "x.json").write_text("\ufeff" + one + "\n" + two, encoding="utf-8")
    assert run("check", "x.json", "--format", "json").json["checked"]["runs"] == 2


def test_a_brace_in_a_text_does_not_confuse_the_lines(run: Run, tmp_path: Path) -> None:
    """Lines are read as JSON, not counted by their braces."""
    odd = FAULTY.replace("planner", "pl{anner")
    (tmp_path / "x.jsonl").write_bytes(jsonl(odd) + jsonl(CLEAN))
    assert run("check", "x.jsonl", "--format", "json").json["checked"]["runs"] == 2


def test_unknown_members_are_ignored(run: Run, tmp_path: Path) -> None:
    """A later OTLP, and what a vendor adds, are no error."""
    request = as_json(histories.requests(FAULTY)[0])
    request["vendor"] = {"a": 1}
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["later"] = [1, 2]
    (tmp_path / "x.json").write_text(json.dumps(request))
    assert run("check", "x.json").code == 1


def test_log_records_beside_spans_are_taken(run: Run, tmp_path: Path) -> None:
    """Their arguments complete the spans: in lines of their own, in the same object, in another file."""
    calls = [
        f'{{"traceId":"{"1" * 32}","spanId":"{number * 16}","name":"execute_tool charge",'
        f'"startTimeUnixNano":"{number}000","endTimeUnixNano":"{number}500","attributes":[{{"key":"driftline.effect","value":{{"stringValue":"write"}}}}]}}'
        for number in "12"
    ]
    given = '"attributes":[{"key":"gen_ai.tool.call.arguments","value":{"stringValue":"{\\"order\\":1}"}}]'
    records = ",".join(
        f'{{"traceId":"{"1" * 32}","spanId":"{number * 16}","timeUnixNano":"1",{given}}}' for number in "12"
    )
    logs = f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}\n'.encode()
    spans = _spans(*calls)
    (tmp_path / "spans.jsonl").write_bytes(spans)
    (tmp_path / "logs.jsonl").write_bytes(logs)
    (tmp_path / "after.jsonl").write_bytes(spans + logs)
    (tmp_path / "one.json").write_bytes(spans.strip()[:-1] + b"," + logs.strip()[1:])
    assert not run("check", "spans.jsonl", "--format", "json").json["findings"]
    for files in (["after.jsonl"], ["one.json"], ["logs.jsonl", "spans.jsonl"]):
        found = run("check", *files, "--format", "json").json["findings"]
        assert [finding["anomaly"] for finding in found] == ["repeated_effect"], files
    assert "only log records" in run("check", "logs.jsonl").err


def test_ids_may_be_upper_case(run: Run, tmp_path: Path) -> None:
    """Hex is hex."""
    text = jsonl(FAULTY).decode()
    for span in histories.parse(FAULTY):
        text = text.replace(span.trace_id.hex(), span.trace_id.hex().upper())
    (tmp_path / "x.json").write_text(text)
    ended = run("check", "x.json", "--format", "json")
    assert ended.json["findings"][0]["spans"][0]["trace_id"] == histories.parse(FAULTY)[0].trace_id.hex()


NOTHING = {
    "empty.json": b"",
    "empty.pb": b"",
    "blank.jsonl": b"\n  \n\n",
    "nospans.json": b'{"resourceSpans":[]}\n{}\n',
    "noids.json": _spans('{"name":"x"}', '{"traceId":"","spanId":"0123456789abcdef"}'),
    "metrics.json": b'{"resourceMetrics":[{}]}',
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_to_check_is_no_pass(run: Run, tmp_path: Path, name: str) -> None:
    """A record without a span ends with 5 and verdict unknown, and says which file it was."""
    (tmp_path / name).write_bytes(NOTHING[name])
    ended = run("check", name, "--format", "json")
    assert (ended.code, ended.json["verdict"]) == (5, "unknown")
    assert ended.json["checked"]["spans"] == 0
    assert ended.json["not_checked"]
    assert name in ended.err


def test_what_is_no_trace_file_is_told_apart_from_an_empty_one(run: Run, tmp_path: Path) -> None:
    """The objects' members are named, so that one sees that these are metrics."""
    (tmp_path / "m.json").write_bytes(NOTHING["metrics.json"])
    assert "resourceMetrics" in run("check", "m.json").err


def test_spans_left_out_are_named(run: Run, tmp_path: Path) -> None:
    """Spans without ids are counted on standard error and among what was not checked."""
    (tmp_path / "x.json").write_bytes(jsonl(CLEAN) + NOTHING["noids.json"])
    ended = run("check", "x.json", "--format", "json")
    assert "2 spans without a valid trace or span id" in ended.err
    assert any("2 spans" in entry["reason"] for entry in ended.json["not_checked"])


BROKEN: dict[str, tuple[bytes, str]] = {
    "garbage.json": (b"\x00\xff\x13not json", "not UTF-8"),
    "words.json": (b"hello\n", "line 1, column 1: not valid JSON"),
    "words.txt": (b"hello\n", "neither OTLP/JSON nor length-delimited OTLP protobuf"),
    "garbage.pb": (b"\x05hello", "message 1 at byte 0"),
    "second.jsonl": (jsonl(CLEAN) + b"{oops}\n", "line 2, column 2: not valid JSON"),
    "cut.jsonl": (jsonl(CLEAN)[:-40], "is the file cut short?"),
    "cut.pb": (protobuf(CLEAN)[:-10], "is the file cut short?"),
    "bare.pb": (histories.requests(CLEAN)[0].SerializeToString(), "write the length before each request"),
    "cut.jsonl.gz": (gzip.compress(jsonl(CLEAN))[:-12], "not valid gzip"),
    "empty.jsonl.gz": (b"", "not valid gzip"),
    "garbage.pb.gz": (b"\x1f\x8bnot gzip", "not valid gzip"),
    "array.json": (b"[" + _spans(SPAN) + b"]", "jq -c '.[]' array.json"),
    "number.json": (b"5\n", "line 1: the JSON body is not an object"),
    "types.json": (b'{"resourceSpans":5}', "resourceSpans"),
    "null.json": (b'{"resourceSpans":[null]}', "resourceSpans"),
    "spans.json": (_spans("7"), "Failed to parse spans field"),
    "time.json": (_spans(SPAN.replace('"name"', '"startTimeUnixNano":"soon","name"')), "startTimeUnixNano"),
    "value.json": (_spans(SPAN.replace('"name"', '"attributes":[{"key":"a","value":"b"}],"name"')), "attribute 'a'"),
    "base64.json": (_spans('{"traceId":"ASNFZ4mrze8BI0VniavN7w==","spanId":"ASNFZ4mrze8="}'), "is not hexadecimal"),
    "deep.json": (b'{"a":' * 100_000, "nested too deeply"),
    "digits.json": (b'{"a":' + b"9" * 5000 + b"}", "digits.json, line 1: not valid JSON: Exceeds the limit"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_an_input_error(run: Run, tmp_path: Path, name: str) -> None:
    """Exit code 2; standard error names the file, the place and what to do; nothing is printed as a result."""
    content, says = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    ended = run("check", name)
    assert (ended.code, ended.out) == (2, "")
    assert name in ended.err
    assert says in ended.err
    assert "Traceback" not in ended.err
    assert len(ended.err.splitlines()) == 2
    assert len(ended.err) < 700


def test_what_cannot_be_opened(run: Run, tmp_path: Path) -> None:
    """A missing file and a folder: what, and what to do."""
    (tmp_path / "traces").mkdir()
    missing, folder, long = run("check", "nowhere.jsonl"), run("check", "traces"), run("check", "x" * 300)
    assert (missing.code, folder.code, long.code) == (2, 2, 2)
    assert "cannot be read: File name too long" in long.err
    assert "nowhere.jsonl cannot be read: No such file or directory" in missing.err
    assert "traces is a folder" in folder.err
    assert "traces/*.jsonl" in folder.err


def test_the_same_file_twice_counts_once(run: Run, tmp_path: Path) -> None:
    """A span delivered twice is one span."""
    (tmp_path / "x.jsonl").write_bytes(jsonl(FAULTY))
    (tmp_path / "x.pb").write_bytes(protobuf(FAULTY))
    once, thrice = (run("check", *files, "--format", "json").json for files in (["x.pb"], ["x.pb", "x.pb", "x.jsonl"]))
    assert once == thrice


def test_all_files_together_are_one_record(run: Run, tmp_path: Path) -> None:
    """A run whose processes were recorded in two files is judged whole."""
    again = "    P1 tool(charge) effect=write eo=applied call=c1 attempt=2"
    history = FAULTY.replace(again, again.replace("    P1", "P2") + " run=twice")
    for number, request in enumerate(histories.requests(history)):
        (tmp_path / f"{number}.pb").write_bytes(histories.framed([request]))
    together = run("check", "0.pb", "1.pb", "--format", "json")
    assert together.json["checked"]["runs"] == 1
    assert [finding["anomaly"] for finding in together.json["findings"]] == ["repeated_effect"]
    assert run("check", "0.pb").code == 0


def test_standard_input_is_read_once(run: Run) -> None:
    """Twice `-` is a mistake, not an empty record."""
    ended = run("check", "-", "--baseline", "-", stdin=io.BytesIO(jsonl(CLEAN)).getvalue())
    assert ended.code == 2
    assert "only once" in ended.err
