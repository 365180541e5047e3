"""What is vendored is what was published: pinned, licensed, unchanged."""

from __future__ import annotations

import hashlib
import re

from driftline.web.assets import FOLDER

VENDOR = FOLDER / "vendor"


def test_every_vendored_file_is_listed_with_its_hash() -> None:
    listed = dict(reversed(line.split()) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    present = {path.name for path in VENDOR.iterdir()} - {"SHA256SUMS"}
    assert listed.keys() == present
    for name, digest in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_every_vendored_script_names_its_version_and_has_a_licence() -> None:
    scripts = list(VENDOR.glob("*.js"))
    assert scripts
    for script in scripts:
        found = re.fullmatch(r"([a-z]+)-\d+\.\d+\.\d+\.min\.js", script.name)
        assert found
        assert (VENDOR / f"{found[1]}-LICENSE.txt").read_text().strip()
