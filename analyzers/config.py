"""Settings of the analysis: `driftline.toml`, or `[tool.driftline]` in `pyproject.toml`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from driftline.analyzers.catalogue import Catalogue, load_catalogue
from driftline.analyzers.finding import SEVERITIES, Severity
from driftline.errors import DriftlineError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

_SETTINGS = ("fail_on", "skew", "catalog", "severity", "loop_min")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m)?")
_IN_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, None: 1.0}


class InvalidConfig(DriftlineError):
    """A setting is unknown or has no meaning; the message says where and what is allowed."""


@dataclass(frozen=True)
class Config:
    """How to judge.

    `skew_ms` bounds the clocks of different hosts against each other; None (`auto`): measured where possible, else
    unbounded. `severity` maps a detector or `detector.anomaly` to a severity, or to "off". `fail_on` is the lowest
    severity that fails a build. `loop_min`: how many equal calls without a change of state make a loop.
    """

    fail_on: Severity = "error"
    skew_ms: float | None = None
    catalogue: Catalogue = field(default_factory=Catalogue)
    severity: Mapping[str, str] = field(default_factory=dict)
    loop_min: int = 4

    def severity_for(self, detector: str, anomaly: str, default: Severity) -> str:
        """The severity a finding gets: the most specific setting wins; "off" drops the finding."""
        return self.severity.get(f"{detector}.{anomaly}", self.severity.get(detector, default))

    def fails(self, severity: str) -> bool:
        """Whether a finding of *severity* fails a build."""
        return severity in SEVERITIES[: SEVERITIES.index(self.fail_on) + 1]


def parse_skew(text: str) -> float | None:
    """`auto`, or a duration such as `100ms`, in milliseconds.

    Raises:
        InvalidConfig: neither of both.
    """
    if text == "auto":
        return None
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise InvalidConfig(f"{text!r} is no clock skew", "use auto, or a duration such as 0ms, 100ms, 2s")
    return float(match[1]) * _IN_MS[match[2]]


def load_config(path: str | Path | None = None, known: Mapping[str, tuple[str, ...]] | None = None) -> Config:
    """Read the settings from *path*, else from `driftline.toml` or `pyproject.toml` in this folder, else the defaults.

    *known* maps each detector to its anomalies, so that a name that matches nothing is an error, never ignored.

    Raises:
        InvalidConfig: the file is missing, no TOML, or holds an unknown setting.
    """
    file = Path(path) if path else _find()
    if file is None:
        return Config()
    try:
        data: Mapping[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfig(f"the config {file} cannot be read: {error.strerror}", "check --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"the config {file} is not valid TOML: {error}", "mend that line") from error
    if file.name == "pyproject.toml":
        data = _table(_table(data, "tool", str(file)), "driftline", f"{file}: tool")
    return _parse(file, data, known or {})


def _find() -> Path | None:
    if Path("driftline.toml").is_file():
        return Path("driftline.toml")
    project = Path("pyproject.toml")
    if project.is_file() and "[tool.driftline" in project.read_text("utf-8", "replace"):
        return project
    return None


def _parse(file: Path, data: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> Config:
    for name in data:
        _expect(name, _SETTINGS, f"{file}: unknown setting {name!r}")
    fail_on = data.get("fail_on", "error")
    _expect(fail_on, SEVERITIES, f"{file}: fail_on = {fail_on!r} is no severity")
    loop_min = data.get("loop_min", 4)
    if not isinstance(loop_min, int) or isinstance(loop_min, bool) or loop_min < 2:
        raise InvalidConfig(f"{file}: loop_min = {loop_min!r}", "use a whole number of at least 2")
    catalog = data.get("catalog", "")
    if not isinstance(catalog, str):
        raise InvalidConfig(f"{file}: catalog = {catalog!r}", 'use the path of a file: catalog = "tools.toml"')
    return Config(
        fail_on=fail_on,
        skew_ms=_skew(file, data.get("skew", "auto")),
        catalogue=load_catalogue(file.parent / catalog) if catalog else Catalogue(),
        severity=_severities(file, data, known),
        loop_min=loop_min,
    )


def _skew(file: Path, value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidConfig(f"{file}: skew = {value!r}", 'use "auto", or a duration such as "100ms"')
    try:
        return parse_skew(str(value))
    except InvalidConfig as error:
        raise InvalidConfig(f"{file}: skew: {error.what}", error.todo) from error


def _severities(file: Path, data: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Severities by detector or `detector.anomaly`, as `[severity]` says."""
    rules: dict[str, Any] = {}
    for name, value in _table(data, "severity", str(file)).items():
        rules.update({f"{name}.{anomaly}": word for anomaly, word in value.items()} if isinstance(value, dict) else {})
        rules.update({} if isinstance(value, dict) else {name: value})
    names = [*known, *(f"{detector}.{anomaly}" for detector, all_of in known.items() for anomaly in all_of)]
    for rule, word in rules.items():
        if known:
            _expect(rule, names, f"{file}: severity: {rule!r} names no detector or anomaly")
        _expect(word, (*SEVERITIES, "off"), f"{file}: severity of {rule} = {word!r} is no severity")
    return rules


def _table(data: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    found = data.get(name, {})
    if not isinstance(found, dict):
        raise InvalidConfig(f"{where}: {name} = {found!r} is not a table", f"write [{name}] and its settings below it")
    return found


def _expect(name: Any, allowed: tuple[Any, ...] | list[str], what: str) -> None:
    if name not in allowed:
        near = get_close_matches(str(name), [str(word) for word in allowed], 1)
        raise InvalidConfig(what, f"did you mean {near[0]!r}?" if near else f"known: {', '.join(map(str, allowed))}")
