"""The SDK's own tests on other versions of opentelemetry-sdk, each in an environment of its own.

    python tests/support/sdk_versions.py [VERSION...]

Without versions: the oldest that pyproject.toml allows, and the newest there is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Those that need nothing but OpenTelemetry and what tests are written with.
TESTS = (
    "both_paths", "direct", "attempts", "clock", "concurrency", "decorators", "errors", "fork", "generators", "handles",
    "memory", "messages", "payload", "providers", "wire",
)  # fmt: skip


def oldest() -> str:
    """The lower bound of our requirement."""
    found = re.search(r'"opentelemetry-sdk>=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if not found:
        raise SystemExit("pyproject.toml does not say which opentelemetry-sdk is the oldest")
    return found[1] + ".0"


def tried(version: str, folder: Path) -> int:
    """The exit code of the tests on *version* ('' is the newest)."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    wanted = f"=={version}" if version else ""
    packages = [f"opentelemetry-sdk{wanted}", f"opentelemetry-exporter-otlp-proto-http{wanted}", "pytest", "hypothesis"]
    quiet = ("--quiet", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", "install", *quiet, *packages], check=True)
    # The package `driftline` is the folder `sdk`; nothing else of ours may be needed.
    (folder / "path").mkdir()
    (folder / "path" / "driftline").symlink_to(ROOT / "sdk", target_is_directory=True)
    tests = [f"tests/sdk/test_{name}.py" for name in TESTS]
    environment = {**os.environ, "PYTHONPATH": str(folder / "path"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> int:
    """Try each version; the number of those that failed."""
    failed = 0
    for version in sys.argv[1:] or [oldest(), ""]:
        print(f"opentelemetry-sdk {version or '(newest)'}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            failed += tried(version, Path(folder)) != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
