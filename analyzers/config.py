"""Settings of the analysis: `driftline.toml`, or `[tool.driftline]` in `pyproject.toml`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from driftline._redacting import rules_from
from driftline._redaction_rules import Rule, parse_rules
from driftline.analyzers.catalogue import Catalogue, load_catalogue
from driftline.analyzers.finding import SEVERITIES, Severity
from driftline.errors import DriftlineError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

_SETTINGS = ("fail_on", "skew", "catalog", "severity", "loop_min", "redact")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m)?")
_IN_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, None: 1.0}


class InvalidConfig(DriftlineError):
    """A setting is unknown or has no meaning; the message says where and what is allowed."""


@dataclass(frozen=True)
class Config:
    """How to judge.

    `skew_ms` bounds the clocks of different hosts against each other; None (`auto`): measured where possible, else
    unbounded. `severity` maps a detector or `detector.anomaly` to a severity, or to "off". `fail_on` is the lowest
    severity that fails a build. `loop_min`: how many equal calls without a change of state make a loop. `redact`: what
    a server takes from all it stores; None: as before.
    """

    fail_on: Severity = "error"
    skew_ms: float | None = None
    catalogue: Catalogue = field(default_factory=Catalogue)
    severity: Mapping[str, str] = field(default_factory=dict)
    loop_min: int = 4
    redact: tuple[Rule, ...] | None = None

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

    Over the file goes the environment: each setting is a variable, too, as `DRIFTLINE_FAIL_ON`.
    *known* maps each detector to its anomalies, so that a name that matches nothing is an error, never ignored.

    Raises:
        InvalidConfig: the file is missing, no TOML, or holds an unknown setting.
    """
    file = Path(path) if path else _find()
    said = _parse(str(file), file.parent, _read(file), known or {}) if file else {}
    over = _parse("the environment", Path(), _from_environment(), known or {})
    return Config(**{**said, **over, "severity": {**said.get("severity", {}), **over.get("severity", {})}})


def _read(file: Path) -> Mapping[str, Any]:
    try:
        data: Mapping[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfig(f"the config {file} cannot be read: {error.strerror}", "check --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidConfig(f"the config {file} is not valid TOML: {error}", "mend that line") from error
    if file.name == "pyproject.toml":
        return _table(_table(data, "tool", str(file)), "driftline", f"{file}: tool")
    return data


def _from_environment() -> dict[str, Any]:
    """Settings said by `DRIFTLINE_…` variables; `DRIFTLINE_SEVERITY` is a list such as `stale_context=info,…`."""
    said: dict[str, Any] = {
        name: value for name in _SETTINGS if (value := os.environ.get(f"DRIFTLINE_{name.upper()}", ""))
    }
    if said.get("loop_min", "").isdecimal():
        said["loop_min"] = int(said["loop_min"])
    if "severity" in said:
        rules = [rule.partition("=") for rule in said["severity"].split(",") if rule.strip()]
        said["severity"] = {name.strip(): word.strip() for name, _, word in rules}
    return said


def _find() -> Path | None:
    if Path("driftline.toml").is_file():
        return Path("driftline.toml")
    project = Path("pyproject.toml")
    if project.is_file() and "[tool.driftline" in project.read_text("utf-8", "replace"):
        return project
    return None


def _parse(where: str, folder: Path, data: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The fields of `Config` that *data* speaks of; files it names lie relative to *folder*."""
    for name in data:
        _expect(name, _SETTINGS, f"{where}: unknown setting {name!r}")
    found: dict[str, Any] = {}
    if "fail_on" in data:
        found["fail_on"] = data["fail_on"]
        _expect(found["fail_on"], SEVERITIES, f"{where}: fail_on = {data['fail_on']!r} is no severity")
    if "loop_min" in data:
        found["loop_min"] = value = data["loop_min"]
        if not isinstance(value, int) or isinstance(value, bool) or value < 2:
            raise InvalidConfig(f"{where}: loop_min = {value!r}", "use a whole number of at least 2")
    if "catalog" in data:
        if not isinstance(data["catalog"], str):
            what = f"{where}: catalog = {data['catalog']!r}"
            raise InvalidConfig(what, 'use the path of a file: catalog = "tools.toml"')
        found["catalogue"] = load_catalogue(folder / data["catalog"])
    if "skew" in data:
        found["skew_ms"] = _skew(where, data["skew"])
    if "redact" in data:
        said = data["redact"]
        found["redact"] = rules_from(said) if isinstance(said, str) else parse_rules(said, where)
    if "severity" in data:
        found["severity"] = _severities(where, data, known)
    return found


def _skew(where: str, value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidConfig(f"{where}: skew = {value!r}", 'use "auto", or a duration such as "100ms"')
    try:
        return parse_skew(str(value))
    except InvalidConfig as error:
        raise InvalidConfig(f"{where}: skew: {error.what}", error.todo) from error


def _severities(where: str, data: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Severities by detector or `detector.anomaly`, as `[severity]` says."""
    rules: dict[str, Any] = {}
    for name, value in _table(data, "severity", where).items():
        one = {f"{name}.{anomaly}": word for anomaly, word in value.items()} if isinstance(value, dict) else None
        rules.update({name: value} if one is None else one)
    names = [*known, *(f"{detector}.{anomaly}" for detector, all_of in known.items() for anomaly in all_of)]
    for rule, word in rules.items():
        if known:
            _expect(rule, names, f"{where}: severity: {rule!r} names no detector or anomaly")
        _expect(word, (*SEVERITIES, "off"), f"{where}: severity of {rule} = {word!r} is no severity")
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
