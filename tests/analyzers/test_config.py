"""Settings: what they mean, where they are found, and that a mistyped one is never passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftline.analyzers import Config, InvalidConfig, load_config, parse_skew

_KNOWN = {"duplicate_effect": ("repeated_effect", "loop"), "stale_context": ("stale_effect",)}


def _load(folder: Path, text: str, name: str = "driftline.toml") -> Config:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return load_config(file, _KNOWN)


def test_every_setting_is_read(tmp_path: Path) -> None:
    (tmp_path / "tools.toml").write_text('[a.charge]\neffect = "write"\n')
    config = _load(
        tmp_path,
        'fail_on = "warning"\nskew = "250ms"\ncatalog = "tools.toml"\nloop_min = 7\n'
        '[severity]\nstale_context = "info"\nduplicate_effect.loop = "off"\n',
    )
    assert (config.fail_on, config.skew_ms, config.loop_min) == ("warning", 250.0, 7)
    assert list(config.catalogue.tools) == ["charge"]
    assert config.severity == {"stale_context": "info", "duplicate_effect.loop": "off"}


def test_the_defaults_are_those_of_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config() == Config()
    assert _load(tmp_path, "") == Config()


def test_settings_are_found_in_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """driftline.toml first, else [tool.driftline] of pyproject.toml, else nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.driftline]\nloop_min = 5\n")
    assert load_config().loop_min == 5
    (tmp_path / "driftline.toml").write_text("loop_min = 6\n")
    assert load_config().loop_min == 6


def test_a_pyproject_of_others_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert load_config() == Config()


def test_the_most_specific_severity_wins(tmp_path: Path) -> None:
    config = _load(tmp_path, '[severity]\nduplicate_effect = "info"\n"duplicate_effect.loop" = "error"\n')
    assert config.severity_for("duplicate_effect", "loop", "warning") == "error"
    assert config.severity_for("duplicate_effect", "repeated_effect", "error") == "info"
    assert config.severity_for("stale_context", "stale_effect", "warning") == "warning"


@pytest.mark.parametrize(
    ("fail_on", "failing"),
    [("error", ["error"]), ("warning", ["error", "warning"]), ("info", ["error", "warning", "info"])],
)
def test_fail_on_is_the_lowest_severity_that_fails(fail_on: str, failing: list[str]) -> None:
    config = Config(fail_on=fail_on)  # type: ignore[arg-type]
    assert [severity for severity in ("error", "warning", "info") if config.fails(severity)] == failing


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("auto", None),
        ("0ms", 0.0),
        ("100ms", 100.0),
        ("1.5s", 1500.0),
        ("2m", 120_000.0),
        ("250us", 0.25),
        ("40", 40.0),
    ],
)
def test_skew_is_auto_or_a_duration(text: str, milliseconds: float | None) -> None:
    assert parse_skew(text) == milliseconds


@pytest.mark.parametrize("text", ["", "fast", "-1ms", "1h", "1 ms 2", "ms", "1e3", "inf", "nan"])
def test_anything_else_is_no_skew(text: str) -> None:
    with pytest.raises(InvalidConfig, match="is no clock skew; use auto"):
        parse_skew(text)


@pytest.mark.parametrize(
    ("text", "what", "todo"),
    [
        ("fail_on =", "is not valid TOML", "mend that line"),
        ('fail_om = "error"', "unknown setting 'fail_om'", "did you mean 'fail_on'?"),
        ("zzz = 1", "unknown setting 'zzz'", "known: fail_on, skew, catalog, severity, loop_min"),
        ('fail_on = "errors"', "fail_on = 'errors' is no severity", "did you mean 'error'?"),
        ("fail_on = 3", "fail_on = 3 is no severity", "known: error, warning, info"),
        ('skew = "soon"', "skew: 'soon' is no clock skew", "use auto"),
        ("skew = true", "skew = True", "a duration such as"),
        ("loop_min = 1", "loop_min = 1", "at least 2"),
        ("loop_min = true", "loop_min = True", "at least 2"),
        ('loop_min = "4"', "loop_min = '4'", "at least 2"),
        ("catalog = 3", "catalog = 3", "the path of a file"),
        ('severity = "error"', "severity = 'error' is not a table", "[severity]"),
        (
            '[severity]\nduplicate_efect = "info"',
            "'duplicate_efect' names no detector",
            "did you mean 'duplicate_effect'?",
        ),
        ('[severity.duplicate_effect]\nlop = "off"', "'duplicate_effect.lop' names no", "'duplicate_effect.loop'?"),
        ('[severity]\nstale_context = "of"', "= 'of' is no severity", "did you mean 'off'?"),
        ("[severity]\nstale_context = 1", "= 1 is no severity", "known: error, warning, info, off"),
    ],
)
def test_a_mistake_is_named_with_place_and_mending(tmp_path: Path, text: str, what: str, todo: str) -> None:
    with pytest.raises(InvalidConfig) as error:
        _load(tmp_path, text)
    assert what in error.value.what
    assert "driftline.toml" in error.value.what
    assert todo in error.value.todo


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="cannot be read: No such file"):
        load_config(tmp_path / "driftline.toml")


def test_tool_that_is_no_table_in_pyproject(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="is not a table"):
        _load(tmp_path, "tool = 1", "pyproject.toml")


def test_the_environment_goes_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tools.toml").write_text('[a.charge]\neffect = "write"\n')
    for name, value in {
        "FAIL_ON": "info",
        "SKEW": "5ms",
        "LOOP_MIN": "9",
        "CATALOG": str(tmp_path / "tools.toml"),
        "SEVERITY": "stale_context=info, duplicate_effect.loop=off",
    }.items():
        monkeypatch.setenv(f"DRIFTLINE_{name}", value)
    config = _load(
        tmp_path, 'fail_on = "error"\nskew = "1s"\n[severity]\nstale_context = "off"\nduplicate_effect = "info"\n'
    )
    assert (config.fail_on, config.skew_ms, config.loop_min) == ("info", 5.0, 9)
    assert list(config.catalogue.tools) == ["charge"]
    assert config.severity == {"stale_context": "info", "duplicate_effect": "info", "duplicate_effect.loop": "off"}


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("FAIL_ON", "eror", "the environment: fail_on = 'eror' is no severity"),
        ("LOOP_MIN", "many", "the environment: loop_min = 'many'"),
        ("SKEW", "soon", "the environment: skew: 'soon' is no clock skew"),
        ("SEVERITY", "stale=off", "the environment: severity: 'stale' names no detector"),
        ("SEVERITY", "stale_context", "the environment: severity of stale_context = '' is no severity"),
    ],
)
def test_a_mistake_in_the_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, what: str
) -> None:
    monkeypatch.setenv(f"DRIFTLINE_{name}", value)
    with pytest.raises(InvalidConfig) as error:
        _load(tmp_path, "")
    assert what in error.value.what
