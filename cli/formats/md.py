"""The report as Markdown, for `$GITHUB_STEP_SUMMARY` or a comment on a pull request.

GitHub drops a step summary over 1 MiB whole and refuses a comment over 65,536 characters, so the text stays under the
smaller of the two: worst first, and it says how many are shown.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from driftline.analyzers.groups import FindingGroup, group_findings
from driftline.cli.formats.places import place_of
from driftline.cli.formats.plain import cut, one_line
from driftline.cli.formats.summary import found, looked_at, not_checked_lines, where_found

if TYPE_CHECKING:
    from driftline.cli.formats import Shown

LIMIT = 64_000  # bytes: below both limits in any encoding
_FOR_NOT_CHECKED = 6_000  # bytes kept for what comes after the findings
_LONGEST = 400  # characters of one sentence
_WORDS = {"fail": "Fail", "pass": "Pass", "unknown": "Unknown"}
_SPECIAL = re.compile(r"([\\`*_\[\]|~$#!])")
_CALLING = re.compile(r"@(?=\w)|#(?=\d)")  # a person or an issue, were it not for the empty comment


def render(shown: Shown) -> str:
    """The verdict, a table of the findings, and the argument of each, folded."""
    groups = group_findings(shown.report)
    head = _head(shown, groups)
    room = LIMIT - _FOR_NOT_CHECKED - _size(head)
    rows, details = [], []
    for group in groups:
        row, detail = _row(group, shown), _detail(group, shown)
        room -= _size(row) + _size(detail)
        if room < 0:
            break
        rows.append(row)
        details.append(detail)
    parts = [head]
    if rows:
        parts.append("| | finding | in | grade | where |\n|---|---|---|---|---|\n" + "".join(rows))
    if len(rows) < len(groups):
        parts.append(f"{len(rows)} of {len(groups)} findings shown, worst first; `--format json` has them all.\n")
    parts.extend(details)
    parts.append(_not_checked(shown))
    return "\n".join(part for part in parts if part)


def escape(text: str) -> str:
    """*text* as Markdown that shows it and does nothing else."""
    escaped = _SPECIAL.sub(r"\\\1", html.escape(cut(one_line(text), _LONGEST), quote=False))
    return _call_nobody(escaped)


def code(text: str) -> str:
    """*text* as code, in a table too."""
    return f"<code>{escape(text)}</code>"


def _call_nobody(text: str) -> str:
    return _CALLING.sub(lambda found: f"{found[0]}<!-- -->", text)


def _head(shown: Shown, groups: list[FindingGroup]) -> str:
    report = shown.report
    of_file = f" of {code(shown.file)}" if shown.file else ""
    return f"### driftline{of_file}: {_WORDS[report.verdict]}, {found(report, groups)}\n\n{looked_at(report)}\n"


def _row(group: FindingGroup, shown: Shown) -> str:
    finding = group.first
    place = place_of(finding, shown)
    where = code(f"{place.file}:{place.line}") if finding.source else ""
    see = f"[{group.id}]({shown.see(group.id)})" if shown.url and shown.see(group.id) else group.id
    what = f"**{see}** {escape(finding.title)}"
    grade = finding.grade.replace("_", " ")
    return f"| {group.severity} | {what} | {escape(where_found(group))} | {grade} | {where} |\n"


def _detail(group: FindingGroup, shown: Shown) -> str:
    finding = group.first
    argument = [("let", line) for line in finding.explanation.let]
    argument += [("then", line) for line in finding.explanation.then]
    if finding.explanation.however:
        argument.append(("however", finding.explanation.however))
    lines = [f"- *{word}* {escape(line)}" for word, line in argument]
    if finding.margin_ms is not None:
        lines.append(f"- *margin* {finding.margin_ms:g} ms")
    spans = ", ".join(f"{escape(span.role)} {code(span.span_id)}" for span in finding.spans[:8])
    lines.append(f"- *run* {code(finding.run_id)}" + (f", spans: {spans}" if spans else ""))
    if shown.see(group.id):
        lines.append(f"- *see* {code(shown.see(group.id))}")
    told = f"{group.id} {finding.detector}.{finding.anomaly}: {cut(one_line(finding.subject), 80)}"
    summary = _call_nobody(html.escape(told))
    return f"<details><summary>{summary}</summary>\n\n" + "\n".join(lines) + "\n\n</details>\n"


def _not_checked(shown: Shown) -> str:
    """What could not be judged, as far as there is room."""
    lines = [f"- {escape(line)}" for line in not_checked_lines(shown.report.not_checked)]
    if not lines:
        return ""
    room = _FOR_NOT_CHECKED - 200
    kept: list[str] = []
    for line in lines:
        room -= _size(line) + 1
        if room < 0:
            kept.append(f"- … and {len(lines) - len(kept)} more reasons")
            break
        kept.append(line)
    return "<details><summary>Not checked</summary>\n\n" + "\n".join(kept) + "\n\n</details>\n"


def _size(text: str) -> int:
    return len(text.encode())
