"""The report for people: the verdict first, then what was found, worst first, then what could not be judged."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from driftline.analyzers.groups import FindingGroup, group_findings
from driftline.cli.formats.places import relative
from driftline.cli.formats.plain import one_line
from driftline.cli.formats.summary import found, looked_at, not_checked_lines, where_found

if TYPE_CHECKING:
    from driftline.analyzers import Report
    from driftline.cli.formats import Shown

_STYLE = {"error": "bold red", "warning": "yellow", "info": "cyan"}
# Of more findings than these only the conclusion is printed, if the whole argument is to be had from the store.
_WHOLE_ARGUMENTS = 5
_VERDICT = {"fail": "bold white on red", "pass": "bold green", "unknown": "bold yellow"}


def render(shown: Shown, *, width: int = 120, colour: bool = False) -> str:
    """The report as text."""
    report = shown.report
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        highlight=False,
        soft_wrap=False,
    )
    groups = group_findings(report)
    console.print(_headline(report, groups))
    many = len(groups) > _WHOLE_ARGUMENTS
    for group in groups:
        console.print()
        _print_group(console, group, shown, brief=many and bool(shown.see(group.id)))
    _print_not_checked(console, report)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _headline(report: Report, groups: list[FindingGroup]) -> Text:
    line = Text()
    line.append(f" {report.verdict.upper()} ", style=_VERDICT[report.verdict])
    line.append(f"  {found(report, groups)}")
    line.append(f"    {looked_at(report)}", style="dim")
    return line


def _print_group(console: Console, group: FindingGroup, shown: Shown, *, brief: bool) -> None:
    finding = group.first
    head = Text()
    head.append(f"{group.severity.upper():<8}", style=_STYLE[group.severity])
    head.append(f"{group.id}  {finding.detector}.{finding.anomaly}  ", style="bold")
    head.append(f"{finding.grade}, in {one_line(where_found(group))}", style="dim")
    console.print(head)
    console.print(Padding(Text(one_line(finding.title)), (0, 0, 0, 2)))
    if not brief:
        for line in finding.explanation.let:
            _print_line(console, "let", line)
        for line in finding.explanation.then:
            _print_line(console, "then", line)
    if finding.explanation.however:
        _print_line(console, "however", finding.explanation.however)
    if finding.margin_ms is not None:
        _print_line(console, "margin", f"{finding.margin_ms:g} ms between the clocks' order and its opposite")
    if finding.source:
        _print_line(console, "where", f"{relative(finding.source.file)}:{finding.source.line}")
    _print_line(console, "run", finding.run_id)
    see = shown.see(group.id)
    if see:
        _print_line(console, "see", see)


def _print_line(console: Console, word: str, text: str) -> None:
    """A line of the argument; what does not fit stands under itself, not under its word."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=12)
    table.add_column(overflow="fold")
    table.add_row(Text(f"    {word}", style="dim"), Text(one_line(text), style="dim"))
    console.print(table)


def _print_not_checked(console: Console, report: Report) -> None:
    if not report.not_checked:
        return
    console.print()
    console.print(Text("not checked:", style="bold"))
    for line in not_checked_lines(report.not_checked):
        console.print(Padding(Text(one_line(line), style="dim"), (0, 0, 0, 2)))
