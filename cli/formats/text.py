"""The report for people: the verdict first, then what was found, worst first, then what could not be judged."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from driftline.analyzers.groups import FindingGroup, group_findings

if TYPE_CHECKING:
    from driftline.analyzers import Report

_STYLE = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_VERDICT = {"fail": "bold white on red", "pass": "bold green", "unknown": "bold yellow"}


def render(report: Report, *, width: int | None = None, colour: bool = False, url: str = "") -> str:
    """The report as text; *url*: the server's pages, for links."""
    out = io.StringIO()
    console = Console(
        file=out, width=width or 120, force_terminal=colour, no_color=not colour, highlight=False, soft_wrap=False
    )
    groups = group_findings(report)
    console.print(_headline(report, groups))
    for group in groups:
        console.print()
        _print_group(console, group, url)
    _print_not_checked(console, report)
    return out.getvalue()


def _headline(report: Report, groups: list[FindingGroup]) -> Text:
    line = Text()
    line.append(f" {report.verdict.upper()} ", style=_VERDICT[report.verdict])
    counts = Counter(group.severity for group in groups)
    said = ", ".join(f"{counts[word]} {word}" for word in ("error", "warning", "info") if counts[word])
    checked = report.checked
    line.append(f"  {said or 'nothing found'}")
    line.append(
        f"    {checked.runs} runs, {checked.spans:,} spans, {checked.effects:,} effects, "
        f"{checked.memory_ops:,} memory operations",
        style="dim",
    )
    return line


def _print_group(console: Console, group: FindingGroup, url: str) -> None:
    finding = group.first
    head = Text()
    head.append(f"{group.severity.upper():<8}", style=_STYLE[group.severity])
    head.append(f"{group.id}  {finding.detector}.{finding.anomaly}  ", style="bold")
    head.append(
        f"{finding.grade}, in {group.runs} of {group.of_runs} runs of {finding.workflow or 'the record'}", style="dim"
    )
    console.print(head)
    console.print(Text(f"  {finding.title}"))
    for line in finding.explanation.let:
        console.print(Text(f"    let      {line}", style="dim"))
    for line in finding.explanation.then:
        console.print(Text(f"    then     {line}", style="dim"))
    if finding.explanation.however:
        console.print(Text(f"    however  {finding.explanation.however}", style="dim"))
    if finding.source:
        console.print(Text(f"    where    {finding.source.file}:{finding.source.line}", style="dim"))
    see = f"{url}/findings/{group.id}" if url else f"driftline show {group.id}"
    console.print(Text(f"    see      {see}   run {finding.run_id}", style="dim"))


def _print_not_checked(console: Console, report: Report) -> None:
    if not report.not_checked:
        return
    by_reason: dict[tuple[str, str], int] = Counter()
    for entry in report.not_checked:
        by_reason[entry.detector, entry.reason] += 1
    shared: dict[str, list[str]] = {}
    for (detector, reason), count in sorted(by_reason.items()):
        shared.setdefault(reason, []).append(detector if count == 1 else f"{detector} ({count} runs)")
    console.print()
    console.print(Text("not checked:", style="bold"))
    for reason, detectors in shared.items():
        console.print(Text(f"  {', '.join(detectors)}: {reason}", style="dim"))
