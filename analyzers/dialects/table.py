"""The dialect table, read from the TOML files beside this module."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

OWN_PREFIX = "driftline."


@dataclass(frozen=True)
class Key:
    """One attribute from which one canonical field may be read."""

    field: str
    attribute: str
    order: int
    dialect: str
    only: str = ""
    when: tuple[str, str] | None = None
    values: tuple[tuple[str, str], ...] = ()
    present: str = ""
    member: str = ""
    reject: str = ""


@dataclass(frozen=True)
class Dialect:
    """One source of spans: how to recognise it, and its keys. Lower *rank* wins when markers of several are there."""

    name: str
    rank: int
    scopes: tuple[str, ...]
    markers: tuple[str, ...]
    keys: tuple[Key, ...] = field(default_factory=tuple)


@cache
def load_dialects() -> tuple[Dialect, ...]:
    """All dialects in order of rank.

    Raises:
        ValueError: a file has a member this loader does not know, or an `only` that names no dialect.
    """
    found = [
        _parse(entry.name, tomllib.loads(entry.read_text(encoding="utf-8")))
        for entry in files(__package__ or "").iterdir()
        if entry.name.endswith(".toml")
    ]
    names = {dialect.name for dialect in found}
    for dialect in found:
        for key in dialect.keys:
            if key.only and key.only not in names:
                raise ValueError(f"dialect {dialect.name}: key {key.attribute}: only = {key.only!r} names no dialect")
    return tuple(sorted(found, key=lambda dialect: (dialect.rank, dialect.name)))


def _parse(file: str, data: dict[str, Any]) -> Dialect:
    unknown = set(data) - {"name", "rank", "scopes", "markers", "key", "own"}
    if unknown:
        raise ValueError(f"{file}: unknown member {min(unknown)!r}")
    name = data["name"]
    own = [Key(canonical, OWN_PREFIX + attribute, 0, name) for canonical, attribute in data.get("own", {}).items()]
    return Dialect(
        name=name,
        rank=data["rank"],
        scopes=tuple(data["scopes"]),
        markers=tuple(data["markers"]),
        keys=(*own, *(_parse_key(file, name, entry) for entry in data.get("key", []))),
    )


def _parse_key(file: str, dialect: str, entry: dict[str, Any]) -> Key:
    unknown = set(entry) - {"field", "key", "order", "only", "when", "values", "present", "member", "reject"}
    if unknown:
        raise ValueError(f"{file}: key {entry.get('key')!r}: unknown member {min(unknown)!r}")
    condition = entry.get("when")
    return Key(
        field=entry["field"],
        attribute=entry["key"],
        order=entry["order"],
        dialect=dialect,
        only=entry.get("only", ""),
        when=(condition["key"], condition["is"]) if condition else None,
        values=tuple(entry.get("values", {}).items()),
        present=entry.get("present", ""),
        member=entry.get("member", ""),
        reject=entry.get("reject", ""),
    )
