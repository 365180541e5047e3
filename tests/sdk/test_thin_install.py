"""A thin install: the wheel and its base dependencies alone trace a program, and importing it is cheap."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import wheels
from otlp_receiver import Receiver
from packaging.requirements import Requirement

SERVER = (
    "chdb", "clickhouse_connect", "fastapi", "jinja2", "numpy", "polars", "pyarrow", "rich", "scipy", "typer",
    "uvicorn",
)  # fmt: skip
# What `import driftline` must leave for `init`, or for the server: each would cost every program that imports us.
LATER = (
    *SERVER, "opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf", "grpc",
    "requests", "urllib3", "asyncio", "multiprocessing", "http.client", "ssl", "pydantic", "driftline.collector",
    "driftline.analyzers", "driftline.web", "driftline.cli",
)  # fmt: skip


def _needed(name: str, seen: dict[str, metadata.Distribution]) -> None:
    """*name* and what it needs, without extras."""
    key = name.lower().replace("_", "-")
    if key in seen:
        return
    seen[key] = metadata.distribution(name)
    for line in seen[key].requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            _needed(requirement.name, seen)


@pytest.fixture(scope="session")
def thin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The interpreter of a fresh environment with the built wheel and its base dependencies, made without a network:
    the dependencies are linked from this environment, as far as the wheel's own metadata asks for them.
    """
    folder = tmp_path_factory.mktemp("thin")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site),
         str(wheels.built_wheel())],
        check=True,
    )  # fmt: skip
    (installed,) = metadata.distributions(name="driftline", path=[str(site)])
    needed: dict[str, metadata.Distribution] = {}
    for line in installed.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            _needed(requirement.name, needed)
    for distribution in needed.values():
        for file in distribution.files or ():
            source, target = Path(str(distribution.locate_file(file))), site / file
            if ".." in file.parts or "__pycache__" in file.parts or not source.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.symlink_to(source.resolve())
    yield folder / "bin" / "python"


def _python(thin: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [thin, "-I", "-c", code] if not environment else [thin, "-c", code],
        capture_output=True, text=True, check=False, env=environment or None, cwd=thin.parent,
    )  # fmt: skip


def test_it_is_the_installed_one(thin: Path) -> None:
    """What is tested here is the wheel, not the checkout."""
    done = _python(thin, "import driftline; print(driftline.__file__, driftline.__version__)")
    assert done.stdout.startswith(str(thin.parents[1])), done.stderr


def test_no_server_package_is_there(thin: Path) -> None:
    """Nothing that only the server needs came with it."""
    code = f"import importlib.util as u; print([name for name in {SERVER!r} if u.find_spec(name)])"
    assert _python(thin, code).stdout == "[]\n"


def test_import_is_lazy(thin: Path) -> None:
    """`import driftline` loads OpenTelemetry's API and no SDK, no exporter, no HTTP client, none of our other parts."""
    code = "import sys, json, driftline, driftline.memory; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(_python(thin, code).stdout)
    assert "opentelemetry.trace" in loaded
    assert [name for name in loaded for later in LATER if name == later or name.startswith(later + ".")] == []


def test_import_when_switched_off(thin: Path) -> None:
    """Switched off, `init` loads nothing either."""
    code = "import sys, driftline; driftline.init('p'); print('opentelemetry.sdk' in sys.modules)"
    assert _python(thin, code, DRIFTLINE_DISABLED="1").stdout == "False\n"


def test_a_program_is_traced(thin: Path) -> None:
    """The whole way to OTLP works with base dependencies."""
    code = """
import driftline
driftline.init("thin")
with driftline.run("r"), driftline.tool("t"):
    pass
"""
    with Receiver() as receiver:
        done = _python(thin, code, DRIFTLINE_ENDPOINT=receiver.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        assert [span.name for span in receiver.spans()] == ["execute_tool t", "invoke_workflow r"]


def test_the_command_names_the_extra(thin: Path) -> None:
    """The command is there, and says what it lacks."""
    done = subprocess.run([thin, "-m", "driftline", "up"], capture_output=True, text=True, check=False, cwd=thin.parent)
    assert done.returncode == 2
    assert "pip install 'driftline[server]'" in done.stderr


def test_types_are_shipped(thin: Path) -> None:
    """A user's type checker reads ours."""
    code = "import driftline, pathlib; print(pathlib.Path(driftline.__file__).with_name('py.typed').exists())"
    assert _python(thin, code).stdout == "True\n"
