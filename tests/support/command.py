"""The `driftline` command as a process of its own, and a server of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "driftline")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


def driftline(
    *arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None, env: dict[str, str] | None = None
) -> Ended:
    """Run one command line to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
        cwd=cwd,
        env=environment(env),
        timeout=300,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def begin(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    command: tuple[str, ...] = COMMAND,
) -> subprocess.Popen[str]:
    """Start one command line."""
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment(env),
        text=True,
    )


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would change a command's words."""
    ours = ("DRIFTLINE_", "OTEL_", "COLUMNS", "NO_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, **(more or {})}


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Up:
    """A running `driftline up` on free ports; *command*: a program that takes its place."""

    def __init__(self, data: Path, *more: str, command: tuple[str, ...] = COMMAND) -> None:
        self.data = data
        names = ("--otlp-port", "--web-port", "--clickhouse-port", "--grpc-port")
        ports = [word for pair in zip(names, map(str, free_ports(4)), strict=True) for word in pair]
        self.process = begin("up", "--data", data, *ports, "--format", "json", *more, command=command)
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        if not first:
            _, err = self.process.communicate(timeout=30)
            raise AssertionError(f"driftline up did not start: {err}")
        said = json.loads(first)
        self.otlp, self.web, self.clickhouse = said["otlp"], said["web"], said["clickhouse"]
        self.otlp_grpc = said["otlp_grpc"]

    def stop(self, number: int = signal.SIGINT) -> Ended:
        """End it as Ctrl-C does, or by another signal."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return Ended(self.process.returncode, out, err)
