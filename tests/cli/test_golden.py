"""Every format of every verdict, whole: golden files with the exit code in their first line.

The records are `tests/data/cli/*.history`; `nothing` is a file without a span. `DRIFTLINE_ACCEPT_GOLDEN=1` rewrites the
golden files; read the difference before you commit it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Ended
from record_files import protobuf

from driftline import __version__
from driftline.cli.formats import FORMATS

Run = Callable[..., Ended]
GOLDEN = Path(__file__).parent / "golden"
HISTORIES = Path(__file__).parents[1] / "data" / "cli"
RECORDS = ("clean", "faulty", "nothing")
CODES = {"clean": 0, "faulty": 1, "nothing": 5}
ACCEPT = "DRIFTLINE_ACCEPT_GOLDEN"


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_check_prints_exactly_this(run: Run, tmp_path: Path, record: str, fmt: str) -> None:
    """The output and exit code of `driftline check --format …` on a fixed record."""
    history = HISTORIES / f"{record}.history"
    (tmp_path / f"{record}.pb").write_bytes(protobuf(history.read_text()) if history.is_file() else b"")
    ended = run("check", f"{record}.pb", "--format", fmt)
    said = f"exit code: {ended.code}\n{ended.out}".replace(f'"{__version__}"', '"VERSION"')
    golden = GOLDEN / f"{record}.{fmt}"
    if os.environ.get(ACCEPT):
        golden.write_text(said, encoding="utf-8")
    assert said == golden.read_text(encoding="utf-8")
    assert ended.code == CODES[record]


def test_no_golden_file_is_left_over() -> None:
    """A golden file nothing is compared with would rot unseen."""
    assert {path.name for path in GOLDEN.iterdir()} == {f"{record}.{fmt}" for record in RECORDS for fmt in FORMATS}
