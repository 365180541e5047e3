"""The `cases.md` beside each detector: tiny histories, and exactly what is said of them."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from driftline.analyzers import Config, known_anomalies, load_catalogue, load_config

_FOLDER = Path(__file__).parents[2] / "analyzers" / "detectors"
_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Case:
    """One `## title` section of a cases.md."""

    file: Path
    title: str
    body: str

    def __str__(self) -> str:
        return f"{self.detector}: {self.title}"

    @property
    def detector(self) -> str:
        """The detector whose folder holds the case."""
        return self.file.parent.name

    @cached_property
    def blocks(self) -> dict[str, str]:
        """Its fenced blocks by name: history, expect, and perhaps config and catalog."""
        return dict(_BLOCK.findall(self.body))

    @property
    def history(self) -> str:
        """The history, with the case's name in a comment."""
        return f"# {self}\n{self.blocks['history']}"

    @property
    def expected(self) -> list[str]:
        """The findings that the expect block names, sorted as it has them."""
        return [line for line in self._lines if not line.startswith("unknown: ")]

    @property
    def unknown(self) -> list[str]:
        """Parts of the reasons that the expect block wants among what was not checked."""
        return [line.removeprefix("unknown: ") for line in self._lines if line.startswith("unknown: ")]

    @property
    def configured(self) -> bool:
        """Whether it brings settings of its own."""
        return "config" in self.blocks or "catalog" in self.blocks

    def config(self) -> Config:
        """The settings it is judged with."""
        config = Config()
        with tempfile.TemporaryDirectory() as folder:
            if "config" in self.blocks:
                settings = Path(folder, "driftline.toml")
                settings.write_text(self.blocks["config"], encoding="utf-8")
                config = load_config(settings, known_anomalies())
            if "catalog" in self.blocks:
                tools = Path(folder, "catalog.toml")
                tools.write_text(self.blocks["catalog"], encoding="utf-8")
                config = replace(config, catalogue=load_catalogue(tools))
        return config

    @property
    def _lines(self) -> list[str]:
        return [line for line in self.blocks.get("expect", "").strip().splitlines() if line]


def read_cases() -> list[Case]:
    """All cases of all detectors."""
    found = []
    for file in sorted(_FOLDER.glob("*/cases.md")):
        for section in re.split(r"^## ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            title, _, body = section.partition("\n")
            found.append(Case(file, title.strip(), body))
    return found
