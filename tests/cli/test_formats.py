"""What each report format promises its reader, whatever a trace holds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from shown import HOSTILE, finding, report

from driftline.analyzers.finding import NotChecked
from driftline.cli.formats import FORMATS, Shown, Site, github, junit, md, render, sarif, text
from driftline.cli.formats.github import SHOWN_A_STEP, escape_data, escape_property

HOSTILE_REPORT = report(finding(1, HOSTILE), not_checked=(NotChecked("stale_context", HOSTILE, HOSTILE),))
MANY = report(*(finding(n, severity="warning") for n in range(400, 1400)), *(finding(n) for n in range(3)))


@pytest.mark.parametrize("fmt", FORMATS)
def test_no_format_lets_a_trace_speak(fmt: str) -> None:
    """Control characters of a trace never reach the output raw."""
    said = render(Shown(HOSTILE_REPORT), fmt)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", said)


def test_text_keeps_to_its_width() -> None:
    """Nothing is wider than the terminal; a long word is folded, not cut."""
    said = text.render(Shown(report(finding(1, "x" * 300))), width=60)
    assert max(len(line) for line in said.splitlines()) <= 60
    assert said.count("x") > 300


def test_text_is_plain_without_colour() -> None:
    """Colour is asked for, never assumed."""
    assert "\x1b[" not in text.render(Shown(MANY))
    assert "\x1b[" in text.render(Shown(MANY), colour=True)


def test_text_is_brief_where_the_argument_is_one_command_away() -> None:
    """Of many findings in a store only conclusions are printed; a file has no other place to read the argument."""
    six = report(*(finding(number) for number in range(6)))
    brief, whole = text.render(Shown(six, in_store=True)), text.render(Shown(six))
    assert (6, 0) == (brief.count("\n    however"), brief.count("\n    let"))
    assert 6 == brief.count("driftline show DE-")
    assert (6, 6) == (whole.count("\n    however"), whole.count("\n    let"))


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_finding_the_store_does_not_hold_is_not_linked(fmt: str) -> None:
    """Judged by other settings than the server's, a record may show a defect that has no page; its argument stays."""
    six = report(*(finding(number) for number in range(6)))
    held = [found.id for found in six.findings[:2]]
    said = render(Shown(six, in_store=True, kept=held, url="http://pages"), fmt)
    assert set(re.findall(r"http://pages/findings/([A-Z]+-\w+)", said)) == (set() if fmt == "json" else set(held))
    if fmt == "text":
        assert said.count("\n    let") == 4


def test_markdown_stays_under_the_limit_and_says_so() -> None:
    """GitHub drops what is too long: the worst are shown, and how many of how many."""
    said = md.render(Shown(MANY))
    assert len(said.encode()) <= md.LIMIT
    rows = [line for line in said.splitlines() if line.startswith(("| error", "| warning"))]
    assert [row.split()[1] for row in rows[:4]] == ["error", "error", "error", "warning"]
    assert f"{len(rows)} of 1003 findings shown, worst first" in said
    assert said.count("<details>") == len(rows)


def test_markdown_stays_under_the_limit_whatever_the_texts() -> None:
    """Also when every text is long and every reason another."""
    long = "long & <wordy> " * 5000
    reasons = tuple(NotChecked("stale_context", f"{n} {long}") for n in range(500))
    said = md.render(Shown(report(*(finding(n, long) for n in range(50)), not_checked=reasons)))
    assert len(said.encode()) <= md.LIMIT


def test_markdown_shows_text_and_does_nothing_else() -> None:
    """No markup, table cell, mention, reference or link comes out of a trace."""
    said = md.render(Shown(HOSTILE_REPORT))
    assert "<b>" not in said
    assert "@team" not in said
    assert not re.search(r"(?<!\\)#12", said)
    assert not re.search(r"(?<!\\)\[l\]", said)
    (row,) = [line for line in said.splitlines() if line.startswith("| error")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 6


def test_github_escapes_as_its_toolkit_does() -> None:
    """%, line ends, and in properties : and , as well."""
    assert escape_data("100%\r\n") == "100%25%0D%0A"
    assert escape_property("a:b,c%") == "a%3Ab%2Cc%25"


def test_github_obeys_no_command_of_a_trace() -> None:
    """One annotation, and it is ours; every other line begins with our name."""
    lines = github.render(Shown(HOSTILE_REPORT)).splitlines()
    assert [line.split(" ")[0] for line in lines if line.startswith("::")] == ["::error"]
    assert all(line.startswith(("::error title=driftline", "driftline")) for line in lines)


def test_github_annotates_as_many_as_are_shown_and_says_so() -> None:
    """The ten worst are annotated, the rest is listed, and a line counts them."""
    lines = github.render(Shown(MANY)).splitlines()
    annotations = [line for line in lines if line.startswith("::")]
    assert len(annotations) == SHOWN_A_STEP
    assert [line.startswith("::error") for line in annotations[:4]] == [True, True, True, False]
    assert "driftline: 10 of 1003 findings annotated, as many as GitHub shows a step" in lines
    assert sum(line.startswith("driftline: warning DE-") for line in lines) == 993


def test_junit_is_a_document_of_the_strict_schema() -> None:
    """Elements and attributes are those of Jenkins' junit-10.xsd, and the counts are true."""
    lesser = finding(2, severity="warning", anomaly="loop")
    root = ET.fromstring(junit.render(Shown(report(finding(1, HOSTILE), finding(3), lesser))))
    _expect_junit(root)
    assert (root.get("failures"), len(root.findall(".//failure")), len(root.findall(".//system-out"))) == ("2", 2, 1)
    assert root.find(".//property[@name='DE-" + finding(3).id[3:] + ".grade']") is not None


@pytest.mark.parametrize("golden", ["clean", "faulty", "nothing"])
def test_junit_of_real_records_is_such_a_document(golden: str) -> None:
    """So are the golden files; and only a verdict of fail has failures."""
    said = (Path(__file__).parent / "golden" / f"{golden}.junit").read_text(encoding="utf-8").partition("\n")[2]
    root = ET.fromstring(said.encode())
    _expect_junit(root)
    assert (root.get("failures") != "0") == (golden == "faulty")


def test_junit_fails_where_the_build_fails() -> None:
    """With fail_on = warning a warning is a failure; the document and the exit code agree."""
    lesser = report(finding(2, severity="warning"), verdict="pass")
    assert ET.fromstring(junit.render(Shown(lesser))).get("failures") == "0"
    assert ET.fromstring(junit.render(Shown(lesser, fail_on="warning"))).get("failures") == "1"


def test_junit_passes_nothing_that_was_not_judged() -> None:
    """A detector that could judge no run of a workflow is skipped with its reason; a verdict of unknown skips all."""
    said = report(finding(1), not_checked=(NotChecked("stale_context", "no versions", "r1"),))
    root = ET.fromstring(junit.render(Shown(said)))
    cases = [case for case in root.iter("testcase") if str(case.get("classname")).endswith(".stale_context")]
    assert {skipped.get("message") for case in cases for skipped in case} == {"no versions"}
    unknown = report(finding(1, severity="info"), verdict="unknown")
    root = ET.fromstring(junit.render(Shown(unknown)))
    assert all(len(case) for case in root.iter("testcase"))


def _expect_junit(root: ET.Element) -> None:
    allowed = {
        "testsuites": ({"name", "tests", "failures", "errors"}, {"testsuite"}),
        "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, {"properties", "testcase"}),
        "properties": (set(), {"property"}),
        "property": ({"name", "value"}, set()),
        "testcase": ({"name", "classname"}, {"skipped", "failure", "system-out"}),
        "failure": ({"message", "type"}, set()),
        "skipped": ({"message"}, set()),
        "system-out": (set(), set()),
    }
    for element in root.iter():
        attributes, children = allowed[element.tag]
        assert set(element.attrib) == attributes
        assert {child.tag for child in element} <= children
    suites = root.findall("testsuite")
    for counted, path in (("tests", "testcase"), ("failures", "testcase/failure"), ("skipped", "testcase/skipped")):
        assert [suite.get(counted) for suite in suites] == [str(len(suite.findall(path))) for suite in suites]
    assert root.get("tests") == str(len(root.findall("testsuite/testcase")))


def test_sarif_has_what_code_scanning_needs() -> None:
    """Each result: a rule that is described, one place with a whole region, the fingerprint GitHub compares."""
    log = json.loads(sarif.render(Shown(MANY)))
    _expect_sarif(log)
    results = log["runs"][0]["results"]
    assert len(results) == 1003
    assert [result["level"] for result in results[:4]] == ["error", "error", "error", "warning"]
    assert results[0]["locations"][0]["physicalLocation"]["artifactLocation"] == {
        "uri": "agents/a%20b%2Cc%3Ad.py",
        "uriBaseId": "%SRCROOT%",
    }


@pytest.mark.parametrize("golden", ["clean", "faulty", "nothing"])
def test_sarif_of_real_records_has_it_too(golden: str) -> None:
    """The golden files; the spans of a finding are its code flow, in the order in which they began."""
    said = (Path(__file__).parent / "golden" / f"{golden}.sarif").read_text(encoding="utf-8").partition("\n")[2]
    log = json.loads(said)
    _expect_sarif(log)
    flows = [result["codeFlows"][0]["threadFlows"][0]["locations"] for result in log["runs"][0]["results"]]
    assert all([step["executionOrder"] for step in flow] == list(range(1, len(flow) + 1)) for flow in flows)
    assert (flows == []) == (golden != "faulty")


def test_a_finding_without_a_call_site_is_shown_at_the_nearest_place() -> None:
    """One of its spans; else where its run begins; else the record it was found in."""
    bare = finding(1, source=None)
    trace, span = bare.spans[0].trace_id, bare.spans[0].span_id
    site = Site("execute_tool charge", "clerk", "agents/clerk.py", 3, 1)
    begin = Site("invoke_workflow trip", "", str(Path.cwd() / "main.py"), 9, 0)

    def shown_at(sites: dict[tuple[str, str], Site]) -> str:
        log = json.loads(sarif.render(Shown(report(bare), sites=sites, origin="traces/a.jsonl")))
        place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        return f"{place['artifactLocation']['uri']}:{place['region']['startLine']}"

    assert shown_at({(trace, span): site, (trace, ""): begin}) == "agents/clerk.py:3"
    assert shown_at({(trace, ""): begin}) == "main.py:9"
    assert shown_at({}) == "traces/a.jsonl:1"


def _expect_sarif(log: dict[str, Any]) -> None:
    assert log["version"] == "2.1.0"
    for run in log["runs"]:
        driver = run["tool"]["driver"]
        assert driver["name"] == "driftline"
        assert all(invocation["executionSuccessful"] is True for invocation in run["invocations"])
        for rule in driver["rules"]:
            assert rule["shortDescription"]["text"]
            assert len(rule["fullDescription"]["text"]) <= 1024
            assert rule["help"]["text"]
        assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
        for result in run["results"]:
            assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
            assert result["level"] in ("error", "warning", "note")
            assert result["message"]["text"]
            assert result["partialFingerprints"]["primaryLocationLineHash"]
            (place,) = [location["physicalLocation"] for location in result["locations"]]
            assert re.fullmatch(r"[A-Za-z0-9._~/%:-]+", place["artifactLocation"]["uri"])
            region = place["region"]
            assert set(region) == {"startLine", "startColumn", "endLine", "endColumn"}
            assert region["startLine"] >= 1
