"""SARIF 2.1.0, for code scanning.

A defect is a result; it stands at the call site the SDK recorded, else at the nearest place there is, as GitHub wants
a location. Its fingerprint is `primaryLocationLineHash`, the one GitHub compares, so that a defect keeps its alert when
lines move. The spans it rests on are its code flow. What could not be judged is a notification of the invocation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from driftline import __version__
from driftline.analyzers.detector import detectors
from driftline.analyzers.groups import FindingGroup, group_findings
from driftline.cli.formats.places import Place, place_of, place_of_site
from driftline.cli.formats.plain import cut
from driftline.cli.formats.summary import NOTHING_JUDGED, not_checked_lines, where_found

if TYPE_CHECKING:
    from driftline.analyzers.finding import Finding
    from driftline.cli.formats import Shown

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_DESCRIPTION = 1_024  # characters GitHub shows of a rule's description
_ROOT = "%SRCROOT%"
_SPANS = 200  # of one code flow


def render(shown: Shown) -> str:
    """A log with one run."""
    return render_all([shown])


def render_all(shown: Sequence[Shown]) -> str:
    """A log with a run for each report."""
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(one) for one in shown]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _run(shown: Shown) -> dict[str, Any]:
    groups = group_findings(shown.report)
    rules = _rules({f"{group.first.detector}.{group.first.anomaly}" for group in groups})
    numbers = {rule["id"]: number for number, rule in enumerate(rules)}
    return {
        "tool": {
            "driver": {
                "name": "driftline",
                "version": __version__,
                "semanticVersion": __version__,
                "informationUri": "https://github.com/driftline/driftline",
                "rules": rules,
            }
        },
        "automationDetails": {"id": f"driftline/{quote(shown.file)}"},
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The folder driftline was started in."}}},
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": _notifications(shown),
            }
        ],
        "results": [_result(group, shown, numbers) for group in groups],
        "columnKind": "unicodeCodePoints",
        "properties": {"verdict": shown.report.verdict},
    }


def _rules(wanted: set[str]) -> list[dict[str, Any]]:
    """The anomalies that were found, described."""
    rules = []
    for detector in detectors():
        about = _about(detector.package)
        for anomaly, meaning in detector.anomalies.items():
            if f"{detector.name}.{anomaly}" not in wanted:
                continue
            sentence = meaning[:1].upper() + meaning[1:] + "."
            told = f"{sentence} {about}"
            rules.append(
                {
                    "id": f"{detector.name}.{anomaly}",
                    "name": "".join(word.capitalize() for word in anomaly.split("_")),
                    "shortDescription": {"text": cut(sentence, _DESCRIPTION)},
                    "fullDescription": {"text": cut(told, _DESCRIPTION)},
                    "help": {"text": told, "markdown": f"**{detector.name}.{anomaly}**: {sentence}\n\n{about}"},
                    "properties": {"tags": ["coordination", detector.name]},
                }
            )
    return rules


def _about(package: str) -> str:
    """What the detector says of itself: the first paragraphs of its module, as running text."""
    from importlib import import_module

    return " ".join((import_module(package).__doc__ or "").split())


def _result(group: FindingGroup, shown: Shown, numbers: dict[str, int]) -> dict[str, Any]:
    finding = group.first
    rule = f"{finding.detector}.{finding.anomaly}"
    place = place_of(finding, shown)
    properties: dict[str, Any] = {
        "grade": finding.grade,
        "workflow": finding.workflow,
        "subject": finding.subject,
        "runs": sorted({member.run_id for member in group.findings})[:20],
        "ofRuns": group.of_runs,
    }
    if finding.margin_ms is not None:
        properties["marginMs"] = finding.margin_ms
    result: dict[str, Any] = {
        "ruleId": rule,
        **({"ruleIndex": numbers[rule]} if rule in numbers else {}),
        "level": _LEVELS[group.severity],
        "kind": "fail",
        "message": {"text": _message(group, shown)},
        "locations": [{**_location(place), "logicalLocations": _logical(finding)}],
        "partialFingerprints": {"primaryLocationLineHash": group.id},
        "occurrenceCount": len(group.findings),
        "properties": properties,
    }
    if finding.spans:
        result["codeFlows"] = [_code_flow(finding, shown, place)]
    if shown.url and shown.see(group.id):
        result["hostedViewerUri"] = shown.see(group.id)
    return result


def _message(group: FindingGroup, shown: Shown) -> str:
    finding = group.first
    lines = [f"{finding.title} ({finding.grade}, in {where_found(group)})"]
    lines += [f"Let: {line}" for line in finding.explanation.let]
    lines += [f"Then: {line}" for line in finding.explanation.then]
    if finding.explanation.however:
        lines.append(f"However: {finding.explanation.however}")
    lines.append(f"Run: {finding.run_id}")
    if shown.see(group.id):
        lines.append(f"See: {shown.see(group.id)}")
    return "\n".join(lines)


def _code_flow(finding: Finding, shown: Shown, place: Place) -> dict[str, Any]:
    """The spans the finding rests on, in the order in which they began; without times, in the argument's order."""
    spans = [(span, shown.sites.get((span.trace_id, span.span_id))) for span in finding.spans[:_SPANS]]
    if all(site for _, site in spans):
        spans.sort(key=lambda pair: pair[1].start_ns if pair[1] else 0)
    steps = []
    for number, (span, site) in enumerate(spans, start=1):
        named = f": {site.name}" if site else ""
        by = f" by {site.agent}" if site and site.agent else ""
        text = f"{span.role}{named}{by} (trace {span.trace_id}, span {span.span_id})"
        steps.append(
            {
                "location": {**_location(place_of_site(site, place)), "message": {"text": text}},
                "executionOrder": number,
            }
        )
    return {"threadFlows": [{"locations": steps}]}


def _location(place: Place) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": _artifact(place.file),
            "region": {"startLine": place.line, "startColumn": 1, "endLine": place.line, "endColumn": 2},
        }
    }


def _artifact(file: str) -> dict[str, str]:
    path = PurePosixPath(file)
    if path.is_absolute():
        return {"uri": f"file://{quote(file)}"}
    if file[1:3] == ":/":  # a drive letter: the program ran on Windows
        return {"uri": f"file:///{quote(file, safe='/:')}"}
    return {"uri": quote(file), "uriBaseId": _ROOT}


def _logical(finding: Finding) -> list[dict[str, str]]:
    name = finding.subject or finding.workflow or finding.run_id
    qualified = "/".join(part for part in (finding.workflow, finding.subject) if part) or finding.run_id
    return [{"name": name, "fullyQualifiedName": qualified, "kind": "resource"}]


def _notifications(shown: Shown) -> list[dict[str, Any]]:
    lines = [f"not checked: {line}" for line in not_checked_lines(shown.report.not_checked)]
    notes = [{"level": "note", "message": {"text": line}} for line in lines]
    if shown.report.verdict == "unknown":
        notes.insert(0, {"level": "warning", "message": {"text": NOTHING_JUDGED}})
    return notes
