"""Annotation lines of GitHub Actions: what is printed so stands beside the code of a pull request.

GitHub shows 10 annotations a step, so the 10 worst findings are annotated, the rest is listed in the log, and a line
says so. Everything but the commands begins with a word of ours: no text of a trace can be taken for a command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline.analyzers.groups import FindingGroup, group_findings
from driftline.cli.formats.places import place_of
from driftline.cli.formats.plain import cut, one_line
from driftline.cli.formats.summary import NOTHING_JUDGED, found, looked_at, not_checked_lines, where_found

if TYPE_CHECKING:
    from driftline.cli.formats import Shown

SHOWN_A_STEP = 10
_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
_LONGEST = 500


def render(shown: Shown) -> str:
    """The verdict, an annotation for each of the worst findings, and the rest as plain lines."""
    report = shown.report
    groups = group_findings(report)
    lines = [f"driftline {report.verdict}: {found(report, groups)} ({looked_at(report)})"]
    if report.verdict == "unknown":
        lines.append(f"::warning title=driftline::{escape_data(NOTHING_JUDGED)}")
    annotated = groups[: SHOWN_A_STEP - (report.verdict == "unknown")]
    lines.extend(_annotation(group, shown) for group in annotated)
    rest = groups[len(annotated) :]
    if rest:
        lines.append(f"driftline: {len(annotated)} of {len(groups)} findings annotated, as many as GitHub shows a step")
        lines.extend(f"driftline: {group.severity} {group.id} {_sentence(group)}" for group in rest)
    lines.extend(f"driftline: not checked: {one_line(line)}" for line in not_checked_lines(report.not_checked))
    return "\n".join(lines) + "\n"


def escape_data(text: str) -> str:
    """*text* as the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """*text* as the value of a property of a workflow command."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def _annotation(group: FindingGroup, shown: Shown) -> str:
    finding = group.first
    place = place_of(finding, shown)
    title = f"driftline {group.id} ({finding.anomaly})"
    properties = {"title": title}
    if place.recorded:
        properties |= {"file": one_line(place.file), "line": str(place.line), "endLine": str(place.line)}
    told = ",".join(f"{name}={escape_property(value)}" for name, value in properties.items())
    argument = [*finding.explanation.let, *finding.explanation.then]
    if finding.explanation.however:
        argument.append(f"However: {finding.explanation.however}")
    message = [_sentence(group), *(f"  {cut(one_line(line), _LONGEST)}" for line in argument)]
    if not place.exact:
        message.append("  (its call site was not recorded)")
    if shown.see(group.id):
        message.append(f"  see {shown.see(group.id)}")
    text = "\n".join(message)
    return f"::{_COMMANDS[group.severity]} {told}::{escape_data(text)}"


def _sentence(group: FindingGroup) -> str:
    return f"{cut(one_line(group.first.title), _LONGEST)} ({group.first.grade}, in {one_line(where_found(group))})"
