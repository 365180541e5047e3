"""Who may enter which project: keys in one small file, of which only hashes are kept.

The file is replaced whole and read again when it has changed, so a running server follows at once. While it cannot be
read nobody enters: a file that says nothing must not say "everybody".
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import string
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from driftline.errors import DriftlineError

FILE = "access.json"
DEFAULT = "default"
Role = Literal["ingest", "viewer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
Right = Literal["write", "read"]

_RIGHTS: dict[str, tuple[Right, ...]] = {"ingest": ("write",), "viewer": ("read",), "admin": ("write", "read")}
_VERSION = 1
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SECRET = re.compile(r"driftline_(ingest|viewer|admin)_([a-z0-9]{10})_([A-Za-z0-9]{40})")
_LETTERS = string.ascii_letters + string.digits


class AccessUnreadable(DriftlineError):
    """The file of keys is damaged or cannot be opened: nobody is let in until it is mended."""


class UnusableName(DriftlineError):
    """A project cannot be called that."""


class NoSuchProject(DriftlineError):
    """Nobody made a project of that name."""


class NoSuchKey(DriftlineError):
    """No key has that id."""


@dataclass(frozen=True)
class Key:
    """What is known of a key: everything but the key. Times in seconds since 1970; limits 0 = none.

    `digest` is the SHA-256 of the whole key. A slow hash (bcrypt) makes guessing passwords dear; a key holds 238
    random bits, which nobody guesses, and is checked with every request, so a slow one would only slow us down.
    """

    id: str
    role: Role
    projects: tuple[str, ...]
    digest: str
    created: float
    name: str = ""
    expires: float = 0.0
    requests_per_second: float = 0.0
    bytes_per_second: float = 0.0

    def may(self, right: Right) -> bool:
        """Whether its role includes *right*."""
        return right in _RIGHTS[self.role]

    def expired(self, now: float) -> bool:
        """Whether its time is over."""
        return bool(self.expires) and self.expires <= now


@dataclass(frozen=True)
class Access:
    """The file's content. `deleting`: projects whose data the owner of the store has yet to drop."""

    keys: tuple[Key, ...] = ()
    projects: tuple[str, ...] = ()
    deleting: tuple[str, ...] = ()
    signing: str = field(default="", repr=False)

    @property
    def every_project(self) -> tuple[str, ...]:
        """The projects there are; `default` always is."""
        return (DEFAULT, *self.projects)

    def find(self, secret: str, now: float) -> Key | None:
        """The living key that *secret* is, compared in constant time."""
        match = _SECRET.fullmatch(secret)
        digest = digest_of(secret)
        found = next((key for key in self.keys if match and key.id == match[2]), None)
        same = hmac.compare_digest(digest, found.digest if found else digest[::-1])
        return found if found and same and not found.expired(now) else None

    def key(self, key_id: str) -> Key | None:
        """The key with that id."""
        return next((key for key in self.keys if key.id == key_id), None)


class AccessFile:
    """`access.json` in a data folder. Safe to use from many threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._access = Access()

    def read(self) -> Access:
        """The content; no file means no keys.

        Raises:
            AccessUnreadable: says what is wrong with it.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return Access()
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        mark = (stat.st_mtime_ns, stat.st_ino, stat.st_size, stat.st_ctime_ns)
        with self._lock:
            if mark != self._seen:
                self._access = self._load()
                self._seen = mark
            return self._access

    @contextmanager
    def changing(self) -> Iterator[Access]:
        """What is there, to be given back changed through `write` inside the block; one process at a time."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with (self.path.with_suffix(".lock")).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.read()

    def write(self, access: Access) -> None:
        """Replace the file; only its owner may read it."""
        access = access if access.signing else replace(access, signing=secrets.token_hex(32))
        partial = self.path.with_suffix(".new")
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"version": _VERSION, **asdict(access)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)

    def _load(self) -> Access:
        try:
            return _parsed(json.loads(self.path.read_text(encoding="utf-8")))
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UnusableName) as error:
            raise self._unreadable(f"{type(error).__name__}: {error}") from error

    def _unreadable(self, why: str) -> AccessUnreadable:
        return AccessUnreadable(
            f"the file of keys {self.path} cannot be read ({why}): nobody is let in",
            "restore it from a copy, or delete it and create new keys with `driftline keys create`",
        )


def make_key(
    role: Role,
    projects: tuple[str, ...],
    *,
    name: str = "",
    expires: float = 0.0,
    requests: float = 0.0,
    size: float = 0.0,
) -> tuple[str, Key]:
    """A new key as its holder gets it, and what is kept of it."""
    key_id = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(10))
    secret = f"driftline_{role}_{key_id}_{''.join(secrets.choice(_LETTERS) for _ in range(40))}"
    return secret, Key(key_id, role, projects, digest_of(secret), time.time(), name, expires, requests, size)


def digest_of(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def check_project_name(name: str) -> str:
    """*name*, if a project may be called that: it becomes part of the name of a database.

    Raises:
        UnusableName: it may not.
    """
    if not _NAME.fullmatch(name):
        raise UnusableName(
            f"{name!r} cannot be the name of a project",
            "use up to 40 lower-case letters, digits and _, a letter first, such as team_billing",
        )
    return name


def _parsed(said: Any) -> Access:
    if said["version"] != _VERSION:
        raise ValueError(f"version {said['version']} is not {_VERSION}")
    keys = tuple(_key(entry) for entry in said["keys"])
    projects = tuple(check_project_name(name) for name in said["projects"])
    deleting = tuple(check_project_name(name) for name in said["deleting"])
    if not re.fullmatch(r"[0-9a-f]{64}", _text(said["signing"])):
        raise ValueError("the secret that signs sessions is damaged")
    return Access(keys, projects, deleting, said["signing"])


def _key(entry: dict[str, Any]) -> Key:
    key = Key(**{**entry, "projects": tuple(entry["projects"])})
    if key.role not in ROLES or not key.projects or not re.fullmatch(r"[0-9a-f]{64}", _text(key.digest)):
        raise ValueError(f"key {key.id} has no role, no project or no digest")
    for name in key.projects:
        check_project_name(name)
    numbers = (key.created, key.expires, key.requests_per_second, key.bytes_per_second)
    if not all(isinstance(number, (int, float)) and number >= 0 for number in numbers):
        raise ValueError(f"a time or limit of key {key.id} is no number")
    return key


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
