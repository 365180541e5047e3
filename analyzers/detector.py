"""What a detector is, and how the folder `detectors/` is walked to find them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from driftline.analyzers.finding import NotChecked, Verdict

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.record import Record

_FOLDER = "driftline.analyzers.detectors"


@dataclass(frozen=True)
class Detector:
    """One folder under `detectors/`.

    Its `__init__.py` holds the object as `DETECTOR`; beside it stand `candidates.sql`, which names the traces that are
    worth reading (column `trace_id`; a superset, never less), and `cases.md`. `anomalies` maps each name to one line
    of meaning. `analyse` judges a record; what it says must depend on the record and the config alone.
    """

    name: str
    prefix: str
    anomalies: Mapping[str, str]
    analyse: Callable[[Record, Config], Verdict]

    @property
    def package(self) -> str:
        """The package the detector lives in."""
        return f"{_FOLDER}.{self.name}"


@cache
def detectors() -> tuple[Detector, ...]:
    """All detectors of this driftline, by name."""
    names = sorted(
        entry.name
        for entry in files(_FOLDER).iterdir()
        if entry.is_dir() and entry.joinpath("candidates.sql").is_file()
    )
    return tuple(import_module(f"{_FOLDER}.{name}").DETECTOR for name in names)


def known_anomalies() -> dict[str, tuple[str, ...]]:
    """Each detector's anomalies: what a config may name."""
    return {detector.name: tuple(detector.anomalies) for detector in detectors()}


def planned(*, synthetic_clocks: bool) -> tuple[NotChecked, ...]:
    """The detectors of the catalogue that this driftline does not have: named as not checked, never passed over."""
    said: dict[str, Any] = tomllib.loads(files(_FOLDER).joinpath("planned.toml").read_text(encoding="utf-8"))
    return tuple(
        NotChecked(
            name,
            "the clocks of this record are synthetic: its times were made up, so nothing can be judged by them"
            if synthetic_clocks and entry["judges_time"]
            else "not part of this version of driftline",
        )
        for name, entry in said.items()
    )
