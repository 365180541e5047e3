"""Where the data lies, and how a command gets at it: directly, or through the server that has it open."""

from __future__ import annotations

import json
import os
import shlex
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlsplit

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
ProjectOption = Annotated[
    str | None,
    typer.Option("--project", envvar="DRIFTLINE_PROJECT", metavar="NAME", help="Which record; default: `default`."),
]
ClickHouseOption = Annotated[
    str | None,
    typer.Option(
        "--clickhouse",
        envvar="DRIFTLINE_CLICKHOUSE",
        metavar="URL",
        show_default=False,
        help="Keep the spans on this ClickHouse server; the folder then holds the log and the dead letters.",
    ),
]


def data_option(data: str) -> str:
    """What a command that is suggested needs to find the same store; the URL of a server may hold a password."""
    if data in (DEFAULT_DATA, os.environ.get("DRIFTLINE_DATA")):
        return ""
    return " --data URL" if is_url(data) else f" --data {shlex.quote(data)}"


class PortInUse(DriftlineError):
    """A port we need is taken."""


class UnusableFolder(DriftlineError):
    """The data folder cannot be made or written to."""


@dataclass(frozen=True)
class Server:
    """A running `driftline up`, as it announces itself in the data folder.

    *clickhouse* is its read-only interface, or the ClickHouse server that it keeps the spans on, for everybody to know;
    *store* is that server with the password.
    """

    pid: int
    web: str
    otlp: str
    clickhouse: str
    otlp_grpc: str = ""
    owner: str = field(default="", repr=False)
    store: str = field(default="", repr=False)

    def key(self, project: str = "default") -> str:
        """The key of whoever may read the data folder."""
        from driftline.collector.door import owner_key

        return owner_key(self.owner, project)

    def pages(self, project: str | None) -> str:
        """Where the pages of a project are."""
        return self.web if project in (None, "default") else f"{self.web}/p/{project}"

    def readable(self, project: str = "default") -> str:
        """The address of a project's ClickHouse interface, with the owner's key."""
        address = urlsplit(self.clickhouse)
        # The certificate names the machine as others call it; this is the machine itself.
        unverified = "?verify=false" if address.scheme == "https" else ""
        return f"{address.scheme}://owner:{self.key(project)}@{address.netloc}/{unverified}"

    def addresses(self) -> dict[str, str | int]:
        """What anybody may know of it."""
        return {name: value for name, value in asdict(self).items() if name not in ("owner", "store")}

    def alive(self) -> bool:
        """Whether it still runs: a process number alone may be another's by now (in a container it often is)."""
        if self.pid == os.getpid():
            return False
        try:
            os.kill(self.pid, 0)
        except PermissionError:
            pass
        except (OSError, ValueError, OverflowError):
            return False
        return self._answers()

    def _answers(self) -> bool:
        address = urlsplit(self.otlp)
        try:
            with socket.create_connection((address.hostname or "", address.port or 0), timeout=2):
                return True
        except (OSError, ValueError):
            return False


def announce(data: Path, server: Server) -> None:
    """Write the server's addresses into the data folder, with its owner's key: for nobody else's eyes."""
    partial = data / f"{_SERVER_FILE}.new"
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(server), file)
    partial.replace(data / _SERVER_FILE)


def withdraw(data: Path) -> None:
    """Remove what `announce` wrote."""
    (data / _SERVER_FILE).unlink(missing_ok=True)


def folder_of(data: str) -> Path:
    """The folder *data* names, from the root.

    Raises:
        UnusableFolder: that cannot be told: no such user's home, a circle of links, a working folder that was deleted.
    """
    try:
        return Path(data).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UnusableFolder(f"{data} cannot be found from here: {why}", "give the whole path with --data") from error


def log_files(folder: Path) -> list[Path]:
    """The segments of the write-ahead logs in the data folder, those of all projects."""
    return [*folder.glob("log/*.wal"), *folder.glob("projects/*/log/*.wal")]


def running_server(data: str) -> Server | None:
    """The server that has *data* open, if one runs."""
    folder = folder_of(data)
    try:
        said = json.loads((folder / _SERVER_FILE).read_text(encoding="utf-8"))
        server = Server(**said)
    except (OSError, ValueError, TypeError):
        return None
    return server if server.alive() else None


def is_url(data: str) -> bool:
    """Whether *data* is the address of a ClickHouse server and no folder."""
    return data.startswith(("http://", "https://"))


@contextmanager
def reading(data: str, project: str | None = None) -> Iterator[Store]:
    """The store of *project* (None: `default`) at *data*, through the running server where one has it open.

    Raises:
        StoreNotFound, UnusableFolder: there is none.
        StoreInUse: a process has it open that offers no way in.
    """
    from driftline.collector.store import open_store

    wanted = project or "default"
    server = None if is_url(data) else running_server(data)
    if server and server.store:
        store = open_store(server.store, create=False, project=wanted)
    elif server:
        store = open_store(server.readable(wanted), create=False)
    else:
        store = open_store(_with_key(data), create=False, project=wanted)
    try:
        yield store
    finally:
        store.close()


def _with_key(data: str) -> str:
    """*data*, with the key in DRIFTLINE_KEY where it is a URL without a password."""
    key = os.environ.get("DRIFTLINE_KEY", "")
    if not key or not is_url(data):
        return data
    try:
        address = urlsplit(data)
    except ValueError:
        return data  # whoever connects to it says what is wrong with it
    if address.password:
        return data
    return address._replace(
        netloc=f"{address.username or 'key'}:{quote(key, safe='')}@{address.netloc.rpartition('@')[2]}"
    ).geturl()


def prepare_folder(folder: Path) -> None:
    """Make sure that a store can be kept in *folder*.

    Raises:
        UnusableFolder: it is no folder, or nothing can be written there.
    """
    try:
        (folder / "store").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise UnusableFolder(
            f"{error.filename or folder} is a file where a folder is needed", "give another folder with --data"
        ) from error
    except OSError as error:
        raise UnusableFolder(
            f"nothing can be written in {folder}: {error.strerror}",
            "give a folder you may write to with --data, or mend its permissions",
        ) from error


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
