"""JUnit XML, as build servers read it: a suite for each workflow, a test case for each anomaly that was looked for.

A finding that fails the build is a failure; a lesser one is told in the case's output. What could not be judged is
skipped with the reason, never passed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from driftline.analyzers import known_anomalies
from driftline.analyzers.groups import FindingGroup, group_findings
from driftline.cli.formats.places import place_of
from driftline.cli.formats.summary import NOTHING_JUDGED, where_found

if TYPE_CHECKING:
    from driftline.analyzers import Report
    from driftline.cli.formats import Shown

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_WORKFLOW = "the record"
_WHOLE_RECORD = "driftline"


def render(shown: Shown) -> str:
    """One document for one report."""
    return render_all([shown])


def render_all(shown: Sequence[Shown]) -> str:
    """One document for all reports."""
    root = ET.Element("testsuites", name="driftline")
    for one in shown:
        for suite in _suites(one):
            root.append(suite)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suites(shown: Shown) -> list[ET.Element]:
    report = shown.report
    groups = group_findings(report)
    runs = dict(report.runs.group_by("workflow", maintain_order=True).agg("run_id").iter_rows())
    suites = [
        _suite(shown, workflow, [group for group in groups if group.first.workflow == workflow], members)
        for workflow, members in sorted(runs.items())
    ]
    return [*suites, _record_suite(shown, bool(suites))]


def _suite(shown: Shown, workflow: str, groups: list[FindingGroup], runs: list[str]) -> ET.Element:
    """One workflow: what was looked for in its runs."""
    cases = []
    for detector, anomalies in known_anomalies().items():
        unjudged = _unjudged(shown.report, detector, runs)
        for anomaly in anomalies:
            found = [group for group in groups if (group.first.detector, group.first.anomaly) == (detector, anomaly)]
            case = ET.Element("testcase", name=anomaly, classname=_clean(f"{workflow or _NO_WORKFLOW}.{detector}"))
            if found:
                _fill(case, found, shown)
            elif unjudged or shown.report.verdict == "unknown":
                ET.SubElement(case, "skipped", message=_clean(unjudged or NOTHING_JUDGED))
            cases.append(case)
    return _counted(_named(workflow or _NO_WORKFLOW, shown), cases)


def _record_suite(shown: Shown, has_runs: bool) -> ET.Element:
    """What no workflow can be blamed for: detectors that did not run, and whether there was anything to check."""
    cases = []
    if not has_runs:
        case = ET.Element("testcase", name="runs", classname=_WHOLE_RECORD)
        ET.SubElement(case, "skipped", message="nothing to check: there are no runs")
        cases.append(case)
    for entry in shown.report.not_checked:
        if not entry.run_id:
            case = ET.Element("testcase", name=_clean(entry.detector), classname=_WHOLE_RECORD)
            ET.SubElement(case, "skipped", message=_clean(entry.reason))
            cases.append(case)
    return _counted(_named(_WHOLE_RECORD, shown), cases)


def _unjudged(report: Report, detector: str, runs: list[str]) -> str:
    """Why *detector* could not judge any of *runs*; '' if it judged some of them."""
    reasons = [entry for entry in report.not_checked if entry.detector == detector and entry.run_id in set(runs)]
    if len({entry.run_id for entry in reasons}) < len(runs):
        return ""
    return "; ".join(sorted({entry.reason for entry in reasons}))


def _fill(case: ET.Element, found: list[FindingGroup], shown: Shown) -> None:
    properties = ET.SubElement(case, "properties")
    for group in found:
        told = {"severity": group.severity, "grade": group.first.grade, "finding": group.id, "see": shown.see(group.id)}
        for name, value in told.items():
            if value:
                ET.SubElement(properties, "property", name=name, value=value)
    for group in found:
        if shown.fails(group.severity):
            message = _clean(group.first.title)
            failure = ET.SubElement(case, "failure", message=message, type=f"{group.severity}.{group.first.grade}")
            failure.text = _clean(_argument(group, shown))
    lesser = [_argument(group, shown) for group in found if not shown.fails(group.severity)]
    if lesser:
        ET.SubElement(case, "system-out").text = _clean("\n\n".join(lesser))


def _argument(group: FindingGroup, shown: Shown) -> str:
    finding = group.first
    lines = [f"{group.severity} {group.id}: {finding.title}", f"{finding.grade}, in {where_found(group)}"]
    lines += [f"let      {line}" for line in finding.explanation.let]
    lines += [f"then     {line}" for line in finding.explanation.then]
    if finding.explanation.however:
        lines.append(f"however  {finding.explanation.however}")
    if finding.source:
        place = place_of(finding, shown)
        lines.append(f"where    {place.file}:{place.line}")
    lines.append(f"run      {finding.run_id}")
    if shown.see(group.id):
        lines.append(f"see      {shown.see(group.id)}")
    return "\n".join(lines)


def _named(name: str, shown: Shown) -> str:
    return f"{shown.file}: {name}" if shown.file else name


def _counted(name: str, cases: list[ET.Element]) -> ET.Element:
    suite = ET.Element("testsuite", name=_clean(name), tests=str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.extend(cases)
    return suite


def _clean(text: str) -> str:
    """*text* without the characters that XML 1.0 does not allow in any form."""
    return _NOT_XML.sub("\ufffd", text)
