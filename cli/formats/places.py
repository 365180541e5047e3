"""Where a finding belongs in the user's program, as the tools that annotate code want it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftline.analyzers.finding import Finding
    from driftline.cli.formats import Shown, Site


@dataclass(frozen=True)
class Place:
    """A file and a line (1-based). *exact*: it is the call site itself; *recorded*: it lies in the user's program."""

    file: str
    line: int
    exact: bool = False
    recorded: bool = True


def place_of(finding: Finding, shown: Shown) -> Place:
    """The finding's call site; else that of one of its spans; else where its run begins; else its origin."""
    if finding.source:
        return Place(relative(finding.source.file), max(finding.source.line, 1), exact=True)
    spans = [shown.sites.get((span.trace_id, span.span_id)) for span in finding.spans]
    runs = [shown.sites.get((span.trace_id, "")) for span in finding.spans]
    for site in (*spans, *runs):
        if site and site.file:
            return Place(relative(site.file), max(site.line, 1))
    return Place(relative(shown.origin), 1, recorded=False)


def place_of_site(site: Site | None, otherwise: Place) -> Place:
    """A span's call site, or *otherwise*."""
    if site and site.file:
        return Place(relative(site.file), max(site.line, 1), exact=True)
    return otherwise


def relative(file: str) -> str:
    """*file* as seen from this folder, with `/`, if it lies inside; tools match such paths with the repository's."""
    if "\\" in file and PureWindowsPath(file).drive:
        return PureWindowsPath(file).as_posix()
    path = PurePosixPath(file)
    here = PurePosixPath(Path.cwd().as_posix())
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
