"""`run`: a command line inside this process, as far as its code, output and errors go like the real command's."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Ended
from shared_store import close_shared_store

from driftline.cli import main

Run = Callable[..., Ended]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in an empty folder. The engine opens one path a process, so the shared store is closed."""
    close_shared_store()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DRIFTLINE_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str | Path, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "argv", ["driftline", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        code = main()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        said = capfd.readouterr()
        return Ended(code, said.out, said.err)

    return run
