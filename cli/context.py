"""Where the data lies, and how a command gets at it: directly, or through the server that has it open."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.store import Store

_SERVER_FILE = "server.json"

DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        envvar="DRIFTLINE_DATA",
        help="Folder of the store, or the URL of a ClickHouse server.",
        show_default=False,
    ),
]
DEFAULT_DATA = "./driftline-data"


class PortInUse(DriftlineError):
    """A port we need is taken."""


@dataclass(frozen=True)
class Server:
    """A running `driftline up`, as it announces itself in the data folder."""

    pid: int
    web: str
    otlp: str
    clickhouse: str

    def alive(self) -> bool:
        """Whether its process still runs."""
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, ValueError):
            return False
        except PermissionError:
            return True
        return True


def announce(data: Path, server: Server) -> None:
    """Write the server's addresses into the data folder."""
    partial = data / f"{_SERVER_FILE}.new"
    partial.write_text(json.dumps(asdict(server)), encoding="utf-8")
    partial.replace(data / _SERVER_FILE)


def withdraw(data: Path) -> None:
    """Remove what `announce` wrote."""
    (data / _SERVER_FILE).unlink(missing_ok=True)


def running_server(data: str) -> Server | None:
    """The server that has *data* open, if one runs."""
    try:
        said = json.loads((Path(data).expanduser() / _SERVER_FILE).read_text(encoding="utf-8"))
        server = Server(**said)
    except (OSError, ValueError, TypeError):
        return None
    return server if server.alive() else None


def open_for_reading(data: str) -> Store:
    """The store at *data*, through the running server where one has it open.

    Raises:
        StoreNotFound: there is none.
        StoreInUse: a process has it open that offers no way in.
    """
    from driftline.collector.store import open_store

    server = None if data.startswith("http") else running_server(data)
    return open_store(server.clickhouse if server else data, create=False)


def check_port(host: str, port: int, option: str) -> None:
    """Fail early, and in words, when *port* cannot be bound.

    Raises:
        PortInUse: somebody else listens there.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUse(
                f"port {port} on {host} cannot be used: {error.strerror}",
                f"stop what listens there, or give another {option}",
            ) from error
