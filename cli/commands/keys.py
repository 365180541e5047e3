"""`driftline keys`: who may send to a project, who may read it."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, data_option, folder_of, is_url
from driftline.cli.options import ListFormat, expect_list_format
from driftline.cli.terminal import remark, write
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.access import AccessFile, Key

app = typer.Typer(help="Who may send to a project, who may read it. A running server follows at once.")

_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(|[KMG]i?)B?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}

_COLUMNS = {
    "id": "id", "role": "role", "projects": "projects", "name": "name", "created": "created", "expires": "expires",
    "limits": "limits",
}  # fmt: skip

KeyId = Annotated[str, typer.Argument(metavar="ID", help="As `driftline keys list` prints it.")]


@app.command()
def create(
    project: Annotated[
        list[str] | None, typer.Option("--project", metavar="NAME", help="What it opens; may be repeated for readers.")
    ] = None,
    role: Annotated[str, typer.Option("--role", metavar="ingest|viewer|admin", help="Send, read, or both.")] = "ingest",
    name: Annotated[str, typer.Option("--name", help="Whose it is, for the list.", show_default=False)] = "",
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="30d|12h", help="How long it is good; default: until revoked.")
    ] = None,
    requests: Annotated[float, typer.Option("--requests-per-second", min=0, help="Limit for sending; 0: none.")] = 0,
    size: Annotated[
        str, typer.Option("--bytes-per-second", metavar="SIZE", help="Limit for sending, such as 2MB; 0: none.")
    ] = "0",
    data: DataOption = DEFAULT_DATA,
    fmt: ListFormat = "text",
) -> None:
    """Create a key. It is shown this once; only a hash of it is kept."""
    from driftline.collector.access import DEFAULT, ROLES, NoSuchProject, make_key

    expect_list_format(fmt)
    known = next((one for one in ROLES if one == role), None)
    if known is None:
        raise typer.BadParameter(f"{role!r} is not one of {', '.join(ROLES)}", param_hint="--role")
    projects = tuple(dict.fromkeys(project or [DEFAULT]))
    if role != "viewer" and len(projects) > 1:
        raise typer.BadParameter("a key that sends belongs to one project", param_hint="--project")
    until = time.time() + _seconds(expires, "--expires") if expires else 0.0
    file = access_file(data)
    with file.changing() as access:
        for one in projects:
            if one not in access.every_project:
                raise NoSuchProject(
                    f"there is no project {one}", f"create it: driftline projects create {one}{data_option(data)}"
                )
        secret, key = make_key(known, projects, name=name, expires=until, requests=requests, size=_bytes(size))
        file.write(replace(access, keys=(*access.keys, key)))
    _show_once(secret, key, fmt)


@app.command("list")
def list_(
    project: Annotated[str | None, typer.Option("--project", metavar="NAME", help="Only keys of this one.")] = None,
    data: DataOption = DEFAULT_DATA,
    fmt: ListFormat = "text",
) -> None:
    """List the keys there are, without the keys themselves."""
    from driftline.cli.tables import print_rows

    expect_list_format(fmt)
    keys = [key for key in access_file(data).read().keys if project is None or project in key.projects]
    print_rows([described(key) if fmt == "json" else _row(key) for key in keys], _COLUMNS, fmt, "no keys")


@app.command()
def revoke(key_id: KeyId, data: DataOption = DEFAULT_DATA) -> None:
    """End a key now; browsers that signed in with it are signed out."""
    file = access_file(data)
    with file.changing() as access:
        key = _existing(access.key(key_id), key_id)
        file.write(replace(access, keys=tuple(other for other in access.keys if other.id != key.id)))
    write(f"revoked {key.id} ({key.role} of {', '.join(key.projects)})")


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[
        str, typer.Option("--grace", metavar="24h|0s", help="How long the old key stays good beside the new one.")
    ] = "24h",
    data: DataOption = DEFAULT_DATA,
    fmt: ListFormat = "text",
) -> None:
    """Create a key that does what another does, and let that one end. No restart, no gap."""
    from driftline.collector.access import make_key

    expect_list_format(fmt)
    file = access_file(data)
    with file.changing() as access:
        old = _existing(access.key(key_id), key_id)
        last = time.time() + _seconds(grace, "--grace")
        lifetime = old.expires - old.created if old.expires else 0.0
        secret, key = make_key(
            old.role, old.projects, name=old.name, requests=old.requests_per_second, size=old.bytes_per_second,
            expires=time.time() + lifetime if lifetime else 0.0,
        )  # fmt: skip
        ending = replace(old, expires=min(last, old.expires) if old.expires else last)
        file.write(replace(access, keys=(*(ending if one.id == old.id else one for one in access.keys), key)))
    remark(f"{old.id} ends {_moment(ending.expires)}")
    _show_once(secret, key, fmt)


def access_file(data: str) -> AccessFile:
    """The file of keys in the data folder."""
    from driftline.collector.access import AccessFile

    if is_url(data):
        raise DriftlineError(
            "keys are kept in the data folder of `driftline up`, not on a ClickHouse server",
            "give the folder with --data",
        )
    return AccessFile(folder_of(data))


def described(key: Key) -> dict[str, object]:
    """What may be known of a key, for JSON."""
    return {
        "id": key.id, "role": key.role, "projects": list(key.projects), "name": key.name,
        "created": _moment(key.created), "expires": _moment(key.expires) if key.expires else None,
        "expired": key.expired(time.time()), "requests_per_second": key.requests_per_second,
        "bytes_per_second": key.bytes_per_second,
    }  # fmt: skip


def _show_once(secret: str, key: Key, fmt: str) -> None:
    if fmt == "json":
        from driftline.cli.tables import print_json

        print_json({"key": secret, **described(key)})
        return
    remark(f"{key.role} key {key.id} of {', '.join(key.projects)}; it is shown this once")
    write(secret)
    if key.role != "viewer":
        remark(f"programs send with it: OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer {secret[:22]}…'")


def _existing(key: Key | None, key_id: str) -> Key:
    from driftline.collector.access import NoSuchKey

    if key is None:
        raise NoSuchKey(f"no key has the id {key_id!r}", "`driftline keys list` names those there are")
    return key


def _row(key: Key) -> dict[str, object]:
    limits = [f"{key.requests_per_second:g} requests/s"] if key.requests_per_second else []
    limits += [f"{key.bytes_per_second:,.0f} B/s"] if key.bytes_per_second else []
    until = _moment(key.expires) if key.expires else "never"
    over = " (over)" if key.expired(time.time()) else ""
    return {**described(key), "expires": until + over, "limits": ", ".join(limits) or "none"}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str, option: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is no duration: use 30d, 12h, 0s", param_hint=option)
    return timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds()


def _bytes(text: str) -> float:
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is no size: use 500kB, 2MB, 1GiB", param_hint="--bytes-per-second")
    return float(match[1]) * _FACTORS[match[2].lower()]
