"""What is shipped: the wheel holds every file of the tree, and nothing else."""

from __future__ import annotations

import zipfile
from email import message_from_string
from pathlib import Path

import wheels

FOLDERS = {
    "sdk": "driftline",
    "collector": "driftline/collector",
    "analyzers": "driftline/analyzers",
    "web": "driftline/web",
    "cli": "driftline/cli",
    "examples": "driftline/examples",
}


def in_the_tree() -> set[str]:
    return {
        f"{package}/{path.relative_to(wheels.ROOT / folder).as_posix()}"
        for folder, package in FOLDERS.items()
        for path in (wheels.ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def shipped(archive: zipfile.ZipFile) -> set[str]:
    return {name for name in archive.namelist() if ".dist-info/" not in name}


def metadata(archive: zipfile.ZipFile) -> str:
    return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))).decode()


def test_the_wheel_holds_every_file_of_the_tree_and_nothing_else() -> None:
    """A new sub-folder with its code, SQL, templates and static files ships without anybody listing it."""
    with zipfile.ZipFile(wheels.built_wheel()) as archive:
        assert in_the_tree() == shipped(archive)


def test_the_wheel_says_what_it_is() -> None:
    """Licence, supported Pythons, extras, type information."""
    with zipfile.ZipFile(wheels.built_wheel()) as archive:
        said = message_from_string(metadata(archive))
        names = archive.namelist()
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.10"
    assert {"grpc", "server", "all", "dev"} <= set(said.get_all("Provides-Extra", []))
    assert "driftline/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_a_plain_install_needs_opentelemetry_alone() -> None:
    """Everything heavier stands behind an extra."""
    with zipfile.ZipFile(wheels.built_wheel()) as archive:
        needed = message_from_string(metadata(archive)).get_all("Requires-Dist", [])
    base = {requirement.split(">")[0] for requirement in needed if "extra ==" not in requirement}
    assert {name for name in base if not name.startswith("opentelemetry-")} <= {"typing-extensions"}


def test_no_wheel_file_is_empty_but_the_type_marker() -> None:
    """An empty vendored script or template is a mistake of packaging."""
    with zipfile.ZipFile(wheels.built_wheel()) as archive:
        empty = {info.filename for info in archive.infolist() if not info.file_size}
    assert empty <= {"driftline/py.typed"}


def test_the_example_programs_are_not_shipped_as_packages() -> None:
    """`import examples` would be somebody else's."""
    with zipfile.ZipFile(wheels.built_wheel()) as archive:
        tops = {Path(name).parts[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"driftline"}
