"""Tables for people."""

from __future__ import annotations

import pytest

from driftline.cli.tables import print_rows

COLUMNS = {"id": "run", "what": "what"}


def test_an_id_is_never_folded(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there to be copied: the other columns give way."""
    monkeypatch.setenv("COLUMNS", "60")
    run = "bfa9c6ec-6d21-4b70-b62e-0170443a3b88"
    print_rows([{"id": run, "what": "word " * 40}], COLUMNS, "text", "none")
    said = capsys.readouterr().out
    assert run in said
    assert max(map(len, said.splitlines())) <= 60


def test_an_endless_id_is_folded_and_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever names runs by a whole sentence still sees all of it."""
    print_rows([{"id": "x" * 300, "what": "y"}], COLUMNS, "text", "none")
    assert capsys.readouterr().out.count("x") == 300
