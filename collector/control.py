"""What only the process that owns the store can do, offered to commands on the same machine over a Unix socket.

The socket lies in the data folder and answers nobody but its owner. A request names an operation; the answer is a line
of JSON for each step: `{"said": …}` on the way, then `{"result": …}`, or `{"what": …, "todo": …}` for what went wrong.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from driftline.errors import DriftlineError

_log = logging.getLogger("driftline.control")

NAME = "control.sock"
_LONGEST_PATH = 100  # bytes: the system's structure for a Unix address has room for little more
_NEARBY = Path("/tmp")  # noqa: S108 - the same for server and command, whatever TMPDIR says to each
_LONGEST_REQUEST = 2**20
_SILENCE = 10.0  # seconds in which a client must have said what it wants

Say = Callable[[str], None]
Operation = Callable[[Mapping[str, Any], Say], Any]


class NoSuchOperation(DriftlineError):
    """The running server is of another version than the command, and cannot do this."""


class ControlLost(DriftlineError):
    """The server ended, or was ended, before it had answered."""


class ServerEnds(DriftlineError):
    """What was asked for was given up, as the server was told to end."""


def socket_of(data: Path) -> Path:
    """Where the socket of the data folder *data* is: in it, or, as paths of sockets are short, in a folder nearby."""
    path = data / NAME
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    short = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return _NEARBY / f"driftline-{os.getuid()}" / f"{short}.sock"


class Control:
    """Operations by name, offered on the socket of the data folder *data* from `start` to `stop`.

    One runs at a time; who comes meanwhile is told to wait.
    """

    def __init__(self, data: Path) -> None:
        self.path = socket_of(data)
        self._operations: dict[str, Operation] = {}
        self._listener: socket.socket | None = None
        self._turn = threading.Lock()
        self._ending = threading.Event()

    def register(self, name: str, operation: Operation) -> None:
        """*operation* is given the arguments of the request, and a function to tell of its progress; what it returns
        goes to the client as JSON. It may be ended (`ServerEnds`) wherever it tells.
        """
        self._operations[name] = operation

    def start(self) -> None:
        """Listen.

        Raises:
            DriftlineError: the folder for the socket is not ours alone.
        """
        _private(self.path.parent, owned=self.path.name == NAME)
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listener.bind(str(self.path))
        finally:
            os.umask(before)
        listener.listen(8)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="driftline-control", daemon=True).start()

    def stop(self) -> None:
        """Listen no more. What is under way ends where it next tells of its progress."""
        self._ending.set()
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self.path.unlink(missing_ok=True)
        with self._turn:  # nothing half done is left
            pass

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(connection,), name="driftline-operation", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Answer one request. A client that goes away does not end what it asked for."""
        gone = False

        def tell(line: dict[str, Any]) -> None:
            nonlocal gone
            if not gone:
                try:
                    connection.sendall(json.dumps(line, default=str).encode() + b"\n")
                except OSError:
                    gone = True

        def say(text: str) -> None:
            if self._ending.is_set():
                raise ServerEnds("the server was told to end and gave this up", "ask again when it is back")
            tell({"said": text})

        with connection:
            try:
                tell(self._answer(connection, say))
            except DriftlineError as error:
                tell({"what": error.what, "todo": error.todo})
            except Exception as error:  # noqa: BLE001 - the client hears of it
                _log.exception("an operation failed")
                first = (str(error).splitlines() or [""])[0]
                tell({"what": f"{type(error).__name__}: {first}", "todo": "the server's output tells more"})

    def _answer(self, connection: socket.socket, say: Say) -> dict[str, Any]:
        connection.settimeout(_SILENCE)
        with connection.makefile("rb") as lines:
            request = json.loads(lines.readline(_LONGEST_REQUEST))
        operation = self._operations.get(request["operation"])
        if operation is None:
            raise NoSuchOperation(
                f"the running server does not know {request['operation']!r}", "restart it with this version"
            )
        if not self._turn.acquire(blocking=False):
            say("waiting for another command to end")
            self._turn.acquire()
        try:
            return {"result": operation(request["arguments"], say)}
        finally:
            self._turn.release()


@contextmanager
def controlled(data: Path) -> Iterator[Control]:
    """The control of *data*, which listens while the block runs."""
    control = Control(data)
    control.start()
    try:
        yield control
    finally:
        control.stop()


def ask(path: Path, name: str, arguments: Mapping[str, Any], say: Say) -> Any:
    """Have the server behind *path* do *name*; its result. *say* hears of its progress.

    Raises:
        ControlLost: it does not answer (any more).
        DriftlineError: what went wrong there.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(json.dumps({"operation": name, "arguments": dict(arguments)}).encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    answer = json.loads(line)
                    if "said" in answer:
                        say(answer["said"])
                    elif "result" in answer:
                        return answer["result"]
                    else:
                        raise DriftlineError(answer["what"], answer["todo"])
    except (OSError, ValueError) as error:
        raise ControlLost(
            f"the server does not answer at {path}: {error}", "see whether it runs: `driftline doctor`"
        ) from error
    raise ControlLost("the server ended before it had answered", "see what it says, and try again")


def _private(folder: Path, *, owned: bool) -> None:
    """Make sure that nobody else can put a socket of their own into *folder*, unless it is *owned*: the data folder."""
    if owned:
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise DriftlineError(
            f"{folder}, where the server's socket belongs, is open to others", "remove it, or give a shorter --data"
        )
