"""Every `cases.md` under `analyzers/detectors`: a tiny history, and exactly what is said of it.

`DRIFTLINE_ACCEPT_CASES=1` rewrites the `expect` blocks; read the difference before you commit it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import histories
import pytest

from driftline.analyzers import Config, Report, known_anomalies, load_catalogue, load_config

_FOLDER = Path(__file__).parents[2] / "analyzers" / "detectors"
_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


@dataclass
class Case:
    """One `## title` section of a cases.md."""

    file: Path
    title: str
    body: str

    @property
    def blocks(self) -> dict[str, str]:
        return dict(_BLOCK.findall(self.body))


def _cases() -> list[Case]:
    found = []
    for file in sorted(_FOLDER.glob("*/cases.md")):
        for section in re.split(r"^## ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            title, _, body = section.partition("\n")
            found.append(Case(file, title.strip(), body))
    return found


def _said(report: Report, detector: str) -> list[str]:
    lines = [f"{f.grade} {f.anomaly} {f.subject}: {f.title}" for f in report.findings if f.detector == detector]
    return sorted(lines) or ["nothing"]


@pytest.mark.parametrize("case", _cases(), ids=lambda case: f"{case.file.parent.name}: {case.title}")
def test_case_says_exactly_this(case: Case, tmp_path: Path) -> None:
    """The detector of the folder says what the expect block says, no more and no less."""
    blocks = case.blocks
    config = Config()
    if "config" in blocks:
        (tmp_path / "driftline.toml").write_text(blocks["config"])
        config = load_config(tmp_path / "driftline.toml", known_anomalies())
    if "catalog" in blocks:
        (tmp_path / "catalog.toml").write_text(blocks["catalog"])
        config = Config(**{**config.__dict__, "catalogue": load_catalogue(tmp_path / "catalog.toml")})
    detector = case.file.parent.name
    report = histories.report(blocks["history"], config)
    expected = [line for line in blocks.get("expect", "").strip().splitlines() if line]
    unknown = [line.removeprefix("unknown: ") for line in expected if line.startswith("unknown: ")]
    reasons = [entry.reason for entry in report.not_checked if entry.detector == detector]
    said = _said(report, detector)
    if os.environ.get("DRIFTLINE_ACCEPT_CASES"):
        _accept(case, [*said, *(f"unknown: {reason}" for reason in unknown)])
        return
    assert [line for line in expected if not line.startswith("unknown: ")] == said
    for reason in unknown:
        assert any(reason in given for given in reasons), f"not among {reasons}"


def test_every_detector_has_cases() -> None:
    """A detector without a single case is not finished."""
    assert {case.file.parent.name for case in _cases()} == set(known_anomalies())


def _accept(case: Case, lines: list[str]) -> None:
    text = case.file.read_text(encoding="utf-8")
    start = text.index(f"## {case.title}")
    end = text.find("\n## ", start)
    section = text[start:] if end < 0 else text[start:end]
    block = "```expect\n" + "\n".join(lines) + "\n```"
    changed = re.sub(r"```expect\n.*?```", lambda _: block, section, flags=re.DOTALL)
    case.file.write_text(text[:start] + changed + ("" if end < 0 else text[end:]), encoding="utf-8")
