"""One module a report format; each has `render(shown) -> str`.

Under `check --each` every file has its report. Formats whose readers want one document (sarif, junit) have
`render_all(shown)` as well; the others are printed one behind the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftline.analyzers import Report
    from driftline.analyzers.finding import Severity

FORMATS = ("text", "json", "md", "sarif", "junit", "github")


@dataclass(frozen=True)
class Site:
    """A span as findings name it: what it is called, whose it is, where in the program it was made ('' = unknown)."""

    name: str
    agent: str
    file: str
    line: int
    start_ns: int


@dataclass(frozen=True)
class Shown:
    """A report, and what it takes to show it.

    *file*: the file it is about, where each is judged alone. *origin*: a file to hang findings on that have no place in
    the program. *fail_on*: the lowest severity that fails. *sites*: the spans of its findings by (trace id, span id);
    under (trace id, '') the beginning of the run. *in_store*: whether it is about a store, *data*: the
    option that names it; `driftline show` finds the findings in *kept* (None = all). *url*: the server's pages.
    """

    report: Report
    file: str = ""
    origin: str = "driftline.toml"
    fail_on: Severity = "error"
    sites: Mapping[tuple[str, str], Site] = field(default_factory=dict)
    in_store: bool = False
    data: str = ""
    kept: Collection[str] | None = None
    url: str = ""

    def fails(self, severity: str) -> bool:
        """Whether a finding of *severity* is a failure."""
        from driftline.analyzers import Config

        return Config(fail_on=self.fail_on).fails(severity)

    def see(self, fingerprint: str) -> str:
        """Where to read on about a finding; '' when there is nothing behind it."""
        if self.kept is not None and fingerprint not in self.kept:
            return ""
        if self.url:
            return f"{self.url}/findings/{fingerprint}"
        return f"driftline show {fingerprint}{self.data}" if self.in_store else ""


def render(shown: Shown, fmt: str) -> str:
    """One report in format *fmt*, one of `FORMATS`."""
    return str(_module(fmt).render(shown))


def renders_all(fmt: str) -> bool:
    """Whether several reports make one document in this format."""
    return hasattr(_module(fmt), "render_all")


def render_all(shown: Sequence[Shown], fmt: str) -> str:
    """Several reports as one document, for a format that `renders_all`."""
    return str(_module(fmt).render_all(shown))


def _module(fmt: str) -> ModuleType:
    return import_module(f"driftline.cli.formats.{'json_' if fmt == 'json' else fmt}")
