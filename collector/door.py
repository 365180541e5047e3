"""The door: what a key opens, who may do without one, and how much a key may send."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable

from driftline.collector.access import DEFAULT, Access, AccessFile, AccessUnreadable, Key, NoSuchProject, Right
from driftline.collector.collector import Collector
from driftline.collector.otlp import RefusedRequest
from driftline.collector.projects import Project, Projects
from driftline.collector.quotas import Quotas

_log = logging.getLogger("driftline.access")

UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE = 16, 7, 14  # google.rpc.Code
_OWNER = "driftline_owner_"
_SESSION = re.compile(r"driftline_session_([a-z0-9]{10})_(\d{1,12})_([0-9a-f]{64})")
_KEY_HEADERS = (b"x-driftline-key", b"x-api-key", b"x-clickhouse-key")
_SESSION_SECONDS = 7 * 86_400
_SAYS = {"write": "sends spans", "read": "reads"}


class AtTheDoor(RefusedRequest):
    """A request that is turned away before anybody looks into it."""


class KeyNeeded(AtTheDoor):
    """No key was given, or one that opens nothing: unknown, revoked, expired."""

    http, code = 401, UNAUTHENTICATED


class KeyLacksRight(AtTheDoor):
    """The key is good, but not for this."""

    http, code = 403, PERMISSION_DENIED


class QuotaSpent(AtTheDoor):
    """The key has sent as much as it may for now. `retry_after`: seconds."""

    http, code = 429, UNAVAILABLE

    def __init__(self, what: str, todo: str, retry_after: float) -> None:
        super().__init__(what, todo)
        self.retry_after = retry_after


class DoorStuck(AtTheDoor):
    """The file of keys cannot be read: nobody is let in, and senders come back later."""

    http, code = 503, UNAVAILABLE


class Door:
    """Lets requests into *projects*.

    *keyless*: a request without a key enters `default`, as it can only come from this machine. A key that is given must
    be good all the same. `owner` is the right of whoever can read the data folder; it lives as long as the process.
    """

    def __init__(self, access: AccessFile, projects: Projects, *, keyless: bool) -> None:
        self.keyless = keyless
        self.owner = secrets.token_hex(32)
        self._access = access
        self._projects = projects
        self._quotas = Quotas()
        self._lock = threading.Lock()
        self._refused: Counter[str] = Counter()
        self._complained = ""

    def enter(self, key: str | None, size: int) -> Collector:
        """The collector that takes a request of *size* bytes sent with *key*.

        Raises:
            KeyNeeded, KeyLacksRight, QuotaSpent, DoorStuck
        """
        found, names = self._admit(key, "write")
        project = self._open(names[0])
        if found is not None:
            self._charge(found, size, project)
        return project.collector

    def read(self, key: str | None, project: str = "") -> Project:
        """The project that *key* reads; *project* picks one where it opens several.

        Raises:
            KeyNeeded, KeyLacksRight, DoorStuck
        """
        names = self.readable(key)
        if project and project not in names and not key:
            raise self._refuse(
                KeyNeeded(f"project {project} is entered with a key", "send one as `Authorization: Bearer KEY`")
            )
        if project and project not in names:
            # The same words whether there is such a project or not.
            raise self._refuse(KeyLacksRight(f"this key does not open a project {project}", "use a key of it"))
        return self._open(project or names[0])

    def readable(self, key: str | None) -> tuple[str, ...]:
        """The projects that *key* reads, the first of which is where it lands.

        Raises:
            KeyNeeded, KeyLacksRight, DoorStuck
        """
        return self._admit(key, "read")[1]

    def session(self, key: str) -> str:
        """What a browser that signs in with *key* is given instead: it only reads, and ends when the key does.

        Raises:
            KeyNeeded, KeyLacksRight, DoorStuck
        """
        access = self.access()
        found = access.find(key, time.time())
        if found is None:
            raise self._refuse(KeyNeeded("this is no key, or one that was revoked or has expired", "ask for another"))
        self._admit(key, "read")
        until = int(time.time()) + _SESSION_SECONDS
        return f"driftline_session_{found.id}_{until}_{_seal(access, found, until)}"

    def check(self, key: str | None, right: Right) -> None:
        """Look at *key* before its request is read.

        Raises:
            KeyNeeded, KeyLacksRight, DoorStuck
        """
        self._admit(key, right)

    def access(self) -> Access:
        """What the file says now.

        Raises:
            DoorStuck: it cannot be read.
        """
        try:
            return self._access.read()
        except AccessUnreadable as error:
            if self._complained != str(error):
                self._complained = str(error)
                _log.error("%s", error)
            raise self._refuse(
                DoorStuck("the keys of this server cannot be read", "its operator sees why in `driftline doctor`")
            ) from error

    def stats(self) -> dict[str, int]:
        """Requests that were turned away at the door, by reason."""
        with self._lock:
            return dict(self._refused)

    def _admit(self, key: str | None, right: Right) -> tuple[Key | None, tuple[str, ...]]:
        access = self.access()
        if not key:
            if self.keyless:
                return None, (DEFAULT,)
            raise self._refuse(
                KeyNeeded(f"whoever {_SAYS[right]} here needs a key", "send it as `Authorization: Bearer KEY`")
            )
        if key.startswith(_OWNER):
            name = key.removeprefix(_OWNER).rpartition("_")[0]
            if hmac.compare_digest(owner_key(self.owner, name).encode(), key.encode("utf-8", "replace")):
                return None, (name,)
        found = access.find(key, time.time()) or (_key_of_session(access, key) if right == "read" else None)
        if found is None:
            raise self._refuse(
                KeyNeeded("this key opens nothing: it is unknown, revoked or expired", "ask for a new one")
            )
        if not found.may(right):
            raise self._refuse(
                KeyLacksRight(f"a key of role {found.role} does not do for one who {_SAYS[right]}", "use another key")
            )
        return found, found.projects

    def _open(self, name: str) -> Project:
        try:
            return self._projects.get(name)
        except NoSuchProject as error:
            raise self._refuse(KeyLacksRight(error.what, error.todo)) from error
        except Exception as error:
            _log.exception("project %s cannot be opened", name)
            raise self._refuse(DoorStuck(f"project {name} cannot be opened now", "retry later")) from error

    def _charge(self, key: Key, size: int, project: Project) -> None:
        spent = self._quotas.take(
            {f"{key.id} requests": (key.requests_per_second, 1), f"{key.id} bytes": (key.bytes_per_second, size)}
        )
        if spent:
            bucket, wait = spent
            what = bucket.partition(" ")[2]
            limit = key.requests_per_second if what == "requests" else key.bytes_per_second
            project.collector.refuse(f"quota: {what}")
            raise self._refuse(
                QuotaSpent(f"this key may send {limit:g} {what} a second, and has sent more", "retry later", wait)
            )

    def _refuse(self, error: RefusedRequest) -> RefusedRequest:
        with self._lock:
            self._refused[type(error).__name__] += 1
        return error


def owner_key(owner: str, project: str) -> str:
    """The key that the owner of the data folder has for *project*."""
    mac = hmac.new(owner.encode(), project.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
    return f"{_OWNER}{project}_{mac}"


def _key_of_session(access: Access, session: str) -> Key | None:
    match = _SESSION.fullmatch(session)
    key = access.key(match[1]) if match else None
    if match is None or key is None or key.expired(time.time()) or int(match[2]) < time.time():
        return None
    return key if hmac.compare_digest(_seal(access, key, int(match[2])), match[3]) else None


def _seal(access: Access, key: Key, until: int) -> str:
    said = f"{key.id} {key.digest} {until}".encode()
    return hmac.new(bytes.fromhex(access.signing), said, hashlib.sha256).hexdigest()


def key_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key a request brings: `Authorization: Bearer KEY`, the password of `Basic`, or a header of `_KEY_HEADERS`."""
    said = {name.lower(): value.decode("latin-1").strip() for name, value in headers}
    scheme, _, rest = said.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or scheme  # a variable that was not set is no key, and not nothing either
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return rest or scheme
        # A user without a password is what ClickHouse clients say when nobody told them any.
        return password or (user if user.startswith("driftline_") else None)
    if scheme:
        return rest.strip() or scheme  # `authorization=KEY`, as some exporters are configured
    return next((said[name] for name in _KEY_HEADERS if said.get(name)), None)
