"""JUnit XML, as build servers read it: a suite for each workflow, a test case for each anomaly that was looked for.

A finding that fails the build is a failure; a lesser one is told in the case's output. What could not be judged is
skipped with the reason, never passed. The document keeps to the strictest schema in use (Jenkins' junit-10.xsd): what
is worth knowing of a finding besides stands among its suite's properties.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from driftline.analyzers import known_anomalies
from driftline.analyzers.groups import FindingGroup, group_findings
from driftline.cli.formats.places import place_of
from driftline.cli.formats.plain import one_line
from driftline.cli.formats.summary import NOTHING_JUDGED, where_found

if TYPE_CHECKING:
    from driftline.analyzers import Report
    from driftline.cli.formats import Shown

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
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suites(shown: Shown) -> list[ET.Element]:
    report = shown.report
    groups = group_findings(report)
    runs = dict(report.runs.group_by("workflow", maintain_order=True).agg("run_id").iter_rows())
    suites = [
        _suite(shown, workflow, [group for group in groups if group.first.workflow == workflow], runs.get(workflow, []))
        for workflow in sorted({*runs, *(group.first.workflow for group in groups)})
    ]
    record = _record_suite(shown, bool(suites))
    return [*suites, record] if len(record) else suites


def _suite(shown: Shown, workflow: str, groups: list[FindingGroup], runs: list[str]) -> ET.Element:
    """One workflow: what was looked for in its runs."""
    cases = []
    for detector, anomalies in known_anomalies().items():
        unjudged = _unjudged(shown.report, detector, runs)
        for anomaly in anomalies:
            found = [group for group in groups if (group.first.detector, group.first.anomaly) == (detector, anomaly)]
            case = ET.Element("testcase", name=anomaly, classname=one_line(f"{workflow or _NO_WORKFLOW}.{detector}"))
            if found:
                _fill(case, found, shown)
            elif unjudged or shown.report.verdict == "unknown":
                ET.SubElement(case, "skipped", message=one_line(unjudged or NOTHING_JUDGED))
            cases.append(case)
    return _counted(_named(workflow or _NO_WORKFLOW, shown), cases, _properties(groups, shown))


def _record_suite(shown: Shown, has_runs: bool) -> ET.Element:
    """What no workflow can be blamed for: detectors that did not run, and whether there was anything to check."""
    cases = []
    if not has_runs:
        case = ET.Element("testcase", name="runs", classname=_WHOLE_RECORD)
        ET.SubElement(case, "skipped", message="nothing to check: there are no runs")
        cases.append(case)
    for entry in shown.report.not_checked:
        if not entry.run_id:
            case = ET.Element("testcase", name=one_line(entry.detector), classname=_WHOLE_RECORD)
            ET.SubElement(case, "skipped", message=one_line(entry.reason))
            cases.append(case)
    return _counted(_named(_WHOLE_RECORD, shown), cases, {})


def _unjudged(report: Report, detector: str, runs: list[str]) -> str:
    """Why *detector* could not judge any of *runs*; '' if it judged some of them."""
    mine = set(runs)
    reasons = [entry for entry in report.not_checked if entry.detector == detector and entry.run_id in mine]
    if len({entry.run_id for entry in reasons}) < len(mine):
        return ""
    return "; ".join(sorted({entry.reason for entry in reasons}))


def _fill(case: ET.Element, found: list[FindingGroup], shown: Shown) -> None:
    for group in found:
        if shown.fails(group.severity):
            message = one_line(group.first.title)
            failure = ET.SubElement(case, "failure", message=message, type=f"{group.severity}.{group.first.grade}")
            failure.text = _argument(group, shown)
    lesser = [_argument(group, shown) for group in found if not shown.fails(group.severity)]
    if lesser:
        ET.SubElement(case, "system-out").text = "\n\n".join(lesser)


def _properties(groups: list[FindingGroup], shown: Shown) -> dict[str, str]:
    """What is worth knowing of each finding, by its id."""
    told: dict[str, str] = {}
    for group in groups:
        told[f"{group.id}.severity"] = group.severity
        told[f"{group.id}.grade"] = group.first.grade
        if shown.see(group.id):
            told[f"{group.id}.see"] = shown.see(group.id)
    return told


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
    return "\n".join(map(one_line, lines))


def _named(name: str, shown: Shown) -> str:
    return f"{shown.file}: {name}" if shown.file else name


def _counted(name: str, cases: list[ET.Element], told: dict[str, str]) -> ET.Element:
    suite = ET.Element("testsuite", name=one_line(name), tests=str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    if told:
        properties = ET.SubElement(suite, "properties")
        for key, value in told.items():
            ET.SubElement(properties, "property", name=key, value=one_line(value))
    suite.extend(cases)
    return suite
