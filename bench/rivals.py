"""Other servers that take traces, for `bench/ingest.py`: installed into environments of their own, fed the same spans.

Each is started as its documentation says, with its own default database, and sent OTLP/HTTP in protobuf. A span counts
when it can be read from that database (a reader of its own; both keep SQLite files), as it is then what their pages and
queries read.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_START = 180.0  # seconds for a server to come up; the first start makes its database
_STALLED = 120.0  # seconds without one more span after which we no longer wait


class NotHere(Exception):
    """A rival could not be installed or started; says why."""


@dataclass(frozen=True)
class Rival:
    """A server: the package it is installed from, how it is started on PORT in FOLDER, where its spans lie."""

    name: str
    package: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    database: str  # in FOLDER
    alive: str  # path that answers when it is up
    headers: Mapping[str, str] = field(default_factory=dict)
    table: str = "spans"


RIVALS = (
    Rival(
        "mlflow server",
        "mlflow",
        (
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            "PORT",
            "--backend-store-uri",
            "sqlite:///FOLDER/mlflow.db",
        ),
        {"MLFLOW_TRACKING_URI": "sqlite:///FOLDER/mlflow.db"},
        "mlflow.db",
        "/health",
        {"x-mlflow-experiment-id": "0"},
    ),
    Rival(
        "phoenix serve",
        "arize-phoenix",
        ("phoenix", "serve"),
        {
            "PHOENIX_PORT": "PORT",
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_GRPC_PORT": "OTHER",
            "PHOENIX_WORKING_DIR": "FOLDER",
        },
        "phoenix.db",
        "/healthz",
    ),
)


@contextmanager
def installed(rival: Rival, kept: str | None = None) -> Iterator[Path]:
    """The environment that *rival* is in: one that is thrown away, or one in *kept* that stays for the next time.

    Raises:
        NotHere: it cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as thrown_away:
        place = Path(kept or thrown_away) / rival.package
        if not (place / "bin" / rival.command[0]).exists():
            for step in (
                [sys.executable, "-m", "venv", place],
                [place / "bin" / "python", "-m", "pip", "install", "--quiet", rival.package],
            ):
                done = subprocess.run([str(word) for word in step], capture_output=True, text=True, check=False)
                if done.returncode:
                    raise NotHere(f"it cannot be installed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        yield place


class Running:
    """A rival that is up, on a port and in a folder of its own."""

    def __init__(self, rival: Rival, environment: Path, folder: Path) -> None:
        self.rival = rival
        self.folder = folder
        self.port, other = _free_port(), _free_port()

        def filled(text: str) -> str:
            return text.replace("PORT", str(self.port)).replace("FOLDER", str(folder)).replace("OTHER", str(other))

        self._log = (folder / "output").open("wb")
        self.process = subprocess.Popen(
            [str(environment / "bin" / rival.command[0]), *map(filled, rival.command[1:])],
            env={**os.environ, **{name: filled(value) for name, value in rival.environment.items()},
                 "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + _START
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.rival.alive}", timeout=5):
                    return
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)
        self.end()
        last = (self.folder / "output").read_text(errors="replace").strip().splitlines()
        raise NotHere(f"it does not start: {last[-1] if last else 'it says nothing'}")

    def spans(self) -> int:
        """How many can be read."""
        try:
            with sqlite3.connect(f"file:{self.folder / self.rival.database}?mode=ro", uri=True, timeout=30) as database:
                return int(database.execute(f"SELECT count(*) FROM {self.rival.table}").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    def wait_for(self, spans: int) -> int:
        """Wait until so many can be read, or no more come; how many there are."""
        found, moved = 0, time.monotonic()
        while found < spans and time.monotonic() - moved < _STALLED:
            now = self.spans()
            if now > found:
                found, moved = now, time.monotonic()
            time.sleep(0.05)
        return found

    def end(self, number: int = signal.SIGKILL) -> None:
        """End it and what it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        self.process.wait(30)
        self._log.close()

    @property
    def size(self) -> int:
        """Bytes of its database on disk."""
        return sum(path.stat().st_size for path in self.folder.glob(f"{self.rival.database}*"))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
