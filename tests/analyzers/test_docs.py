"""What the documentation shows as a file can be used as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from driftline.analyzers import catalogue, config, known_anomalies, load_catalogue, load_config

_DOCS = Path(__file__).parents[2] / "docs"


def _block(name: str) -> str:
    found = re.findall(r"```toml\n(.*?)```", (_DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    assert len(found) == 1
    return found[0]


def test_the_example_catalogue_is_one(tmp_path: Path) -> None:
    file = tmp_path / "tools.toml"
    file.write_text(_block("catalogue.md"), encoding="utf-8")
    tools = load_catalogue(file).tools
    assert len(tools) == 6
    assert tools["charge"].lasting
    assert tools["charge"].refuses("Error: no funds")


def test_every_member_of_a_tool_is_explained() -> None:
    text = (_DOCS / "catalogue.md").read_text(encoding="utf-8")
    assert [member for member in catalogue._MEMBERS if f"`{member}`" not in text] == []


def test_the_example_settings_are_settings(tmp_path: Path) -> None:
    (tmp_path / "tools.toml").write_text(_block("catalogue.md"), encoding="utf-8")
    file = tmp_path / "driftline.toml"
    file.write_text(_block("analysis.md"), encoding="utf-8")
    said = load_config(file, known_anomalies())
    assert said.severity == {"stale_context": "warning", "duplicate_effect.loop": "off"}
    assert (said.fail_on, said.skew_ms, said.loop_min) == ("error", None, 4)


def test_every_setting_is_explained() -> None:
    text = (_DOCS / "analysis.md").read_text(encoding="utf-8")
    for name in config._SETTINGS:
        assert f"`{name}`" in text
        assert f"`DRIFTLINE_{name.upper()}`" in text
