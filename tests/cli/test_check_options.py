"""`driftline check`: its options, and how each mistake in them is answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Ended
from record_files import CLEAN, FAULTY, jsonl, protobuf

Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    (tmp_path / "clean.jsonl").write_bytes(jsonl(CLEAN))
    (tmp_path / "faulty.pb").write_bytes(protobuf(FAULTY))
    (tmp_path / "empty.json").write_bytes(b"")
    (tmp_path / "bad.json").write_bytes(b"{oops}")


def _lines(ended: Ended) -> list[dict[str, object]]:
    return [json.loads(line) for line in ended.out.splitlines()]


def test_exit_codes_go_with_the_verdict(run: Run) -> None:
    """0 pass, 1 fail, 5 unknown; the first word of the text is the verdict."""
    said = {name: run("check", name) for name in ("clean.jsonl", "faulty.pb", "empty.json")}
    assert {name: ended.code for name, ended in said.items()} == {"clean.jsonl": 0, "faulty.pb": 1, "empty.json": 5}
    assert [ended.out.split()[0] for ended in said.values()] == ["PASS", "FAIL", "UNKNOWN"]


def test_each_judges_every_file_alone(run: Run) -> None:
    """One object a line, in the order given, each with its file; the same file twice is judged twice."""
    ended = run("check", "--each", "--format", "json", "clean.jsonl", "faulty.pb", "faulty.pb")
    lines = _lines(ended)
    assert [(line["file"], line["verdict"]) for line in lines] == [
        ("clean.jsonl", "pass"),
        ("faulty.pb", "fail"),
        ("faulty.pb", "fail"),
    ]
    assert [list(line)[:2] for line in lines] == [["file", "schema"]] * 3
    assert lines[1] == lines[2]
    assert ended.code == 1


def test_one_bad_file_among_good_ones(run: Run) -> None:
    """The others are judged all the same; the bad one has its line with the reason, and the command ends with 2."""
    ended = run("check", "--each", "--format", "json", "faulty.pb", "bad.json", "clean.jsonl")
    lines = _lines(ended)
    assert [line["verdict"] for line in lines] == ["fail", "unknown", "pass"]
    assert "bad.json, line 1" in str(lines[1]["error"])
    assert "bad.json, line 1" in ended.err
    assert ended.code == 2


def test_an_unjudged_file_among_clean_ones_is_no_pass(run: Run) -> None:
    """Under --each an empty file makes the whole end with 5, unless there are findings."""
    assert run("check", "--each", "clean.jsonl", "empty.json").code == 5
    assert run("check", "--each", "clean.jsonl", "empty.json", "faulty.pb").code == 1


@pytest.mark.parametrize("fmt", ["sarif", "junit"])
def test_formats_of_one_document_stay_one_under_each(run: Run, fmt: str) -> None:
    """Several files are several runs or suites of one document."""
    ended = run("check", "--each", "--format", fmt, "clean.jsonl", "faulty.pb")
    if fmt == "sarif":
        assert [one["automationDetails"]["id"] for one in ended.json["runs"]] == [
            "driftline/clean.jsonl",
            "driftline/faulty.pb",
        ]
    else:
        assert ended.out.count("<testsuites ") == 1
        assert ended.out.count("faulty.pb: ") == 2


def test_baselines_are_read_and_named(run: Run) -> None:
    """No detector of this version compares records: each is named as not checked, and a bad one is an error."""
    ended = run("check", "clean.jsonl", "--baseline", "faulty.pb", "--baseline", "clean.jsonl", "--format", "json")
    said = [entry["reason"] for entry in ended.json["not_checked"] if entry["detector"] == "baseline"]
    assert [reason.split(" was read")[0] for reason in said] == ["faulty.pb (4 spans)", "clean.jsonl (3 spans)"]
    assert ended.json["checked"]["runs"] == 1
    assert ended.code == 0
    assert run("check", "clean.jsonl", "--baseline", "bad.json").code == 2


def test_severity_and_fail_on_come_from_the_config(run: Run, tmp_path: Path) -> None:
    """driftline.toml in this folder, or the file named, decides what fails."""
    (tmp_path / "driftline.toml").write_text('[severity]\nduplicate_effect = "warning"\n')
    (tmp_path / "strict.toml").write_text('fail_on = "warning"\n[severity]\nduplicate_effect = "warning"\n')
    assert run("check", "faulty.pb").code == 0
    assert run("check", "faulty.pb", "--config", "strict.toml").code == 1


MISTAKES = {
    "--formt json clean.jsonl": ("--formt", "--format"),
    "--format xml clean.jsonl": ("'xml' is not one of text, json, md, sarif, junit, github",),
    "--skew soon clean.jsonl": ("--skew: 'soon' is no clock skew", "use auto, or a duration such as 0ms"),
    "--config nowhere.toml clean.jsonl": ("nowhere.toml cannot be read", "check --config"),
    "--catalog nowhere.toml clean.jsonl": ("nowhere.toml cannot be read", "check --catalog"),
    "--config key.toml clean.jsonl": ("key.toml: unknown setting 'fail_onn'", "did you mean 'fail_on'?"),
    "--config rule.toml clean.jsonl": ("'duplicate_efect' names no detector", "did you mean 'duplicate_effect"),
    "--config table.toml clean.jsonl": ("table.toml", "severity"),
    "--config path.toml clean.jsonl": ("path.toml", "catalog"),
    "--config skew.toml clean.jsonl": ("skew.toml: skew: 'soon'",),
    "--config list.toml clean.jsonl": ("list.toml", "fail_on"),
    "--config broken.toml clean.jsonl": ("broken.toml is not valid TOML",),
    "--config deep.toml clean.jsonl": ("deep.toml is not valid TOML",),
    "--catalog deep.toml clean.jsonl": ("deep.toml is not valid TOML",),
    "--catalog broken.toml clean.jsonl": ("broken.toml is not valid TOML",),
    "--catalog member.toml clean.jsonl": ("[shop.pay]", "did you mean 'effect'?"),
    "--catalog effect.toml clean.jsonl": ("[shop.pay]", "use one of none, read, write, destructive"),
    "--catalog targets.toml clean.jsonl": ("[shop.pay]",),
    "": ("Missing argument",),
}
FILES = {
    "key.toml": 'fail_onn = "error"\n',
    "rule.toml": '[severity]\nduplicate_efect = "error"\n',
    "table.toml": 'severity = "error"\n',
    "path.toml": "catalog = 5\n",
    "skew.toml": 'skew = "soon"\n',
    "list.toml": 'fail_on = ["error"]\n',
    "broken.toml": "[severity\n",
    "deep.toml": "a = " + "[" * 5000,
    "member.toml": '[shop.pay]\neffect = "write"\neffct = 1\n',
    "effect.toml": '[shop.pay]\neffect = "writes"\n',
    "targets.toml": '[shop.pay]\neffect = "write"\ntargets = "order"\n',
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_explained(run: Run, tmp_path: Path, line: str) -> None:
    """Exit code 2, nothing on standard output, and words that say what, where and what to do."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    ended = run("check", *line.split())
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert all(says in ended.err for says in MISTAKES[line]), ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_command_is_answered_with_the_nearest(run: Run) -> None:
    """And once only."""
    ended = run("chek", "clean.jsonl")
    assert ended.code == 2
    assert ended.err.count("check") == 1
