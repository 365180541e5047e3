"""The tool catalogue: what each tool does to the world, declared by those who know.

A TOML file. Tables hold tools (`[group.tool]`; the group is for reading only: a tool name means the same everywhere):

- `effect`: none | read | write | destructive; `idempotent`: a second identical call leaves the state as it is
- `targets`: the entities acted on, `[{kind, path}]`, path into the arguments; `creates`: likewise, into the result.
  `lasting = true` beside a path: the entity outlives a run, so two runs that name it act on the same one
- `intent`: paths into the arguments; two calls with equal values there are one intent, whatever else differs
- `one_per`: at most one application for each "run", each "target", or each value of the given paths
- `compensates`: the tools this one undoes, when its targets are what they created or acted on
- `refused_when`: `{prefix = "Error"}` or `{pattern = "regular expression"}` over the result: the call changed nothing
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from driftline.analyzers.json_path import InvalidJsonPath, JsonPath
from driftline.errors import DriftlineError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

_EFFECTS = ("none", "read", "write", "destructive")
_MEMBERS = (
    "effect", "idempotent", "on_repeat", "targets", "creates", "reads", "also",
    "intent", "one_per", "compensates", "refused_when",
)  # fmt: skip


class InvalidCatalogue(DriftlineError):
    """The catalogue file cannot be read or says something that has no meaning."""


@dataclass(frozen=True)
class EntityPath:
    """An entity named by a value inside the arguments or the result: `kind/value`."""

    kind: str
    path: JsonPath
    lasting: bool = False

    def entities(self, document: Any) -> tuple[str, ...]:
        """The entities *document* names, as `kind/value`."""
        return tuple(f"{self.kind}/{value}" for value in self.path.find(document) if isinstance(value, (str, int)))


@dataclass(frozen=True)
class Tool:
    """What the catalogue says of one tool."""

    name: str
    effect: str
    idempotent: bool
    targets: tuple[EntityPath, ...] = ()
    creates: tuple[EntityPath, ...] = ()
    intent: tuple[JsonPath, ...] = ()
    one_per: str | tuple[JsonPath, ...] = ""
    compensates: tuple[str, ...] = ()
    refused_pattern: re.Pattern[str] | None = None

    @property
    def lasting(self) -> bool:
        """Whether what this tool acts on is the same thing in every run."""
        return any(target.lasting for target in self.targets)

    def refuses(self, result: str) -> bool:
        """Whether *result* says that the call changed nothing."""
        return bool(self.refused_pattern and self.refused_pattern.search(result))


@dataclass(frozen=True)
class Catalogue:
    """All declared tools by name; `groups`: the names of the tools in each outermost table, for reading only."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def get(self, name: str) -> Tool | None:
        """The tool *name*, if declared."""
        return self.tools.get(name)


def load_catalogue(path: str | Path) -> Catalogue:
    """Read a catalogue file.

    Raises:
        InvalidCatalogue: the file is missing, no TOML, or declares something unknown; the message says where.
    """
    file = Path(path)
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidCatalogue(f"the catalogue {file} cannot be read: {error.strerror}", "check --catalog") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidCatalogue(f"the catalogue {file} is not valid TOML: {error}", "mend that line") from error
    tools = {group: _tools(str(file), {group: entry}) for group, entry in data.items()}
    return Catalogue(
        dict(tool for members in tools.values() for tool in members),
        {group: frozenset(name for name, _ in members) for group, members in tools.items()},
    )


def _tools(file: str, table: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, Tool]]:
    found = []
    for name, entry in table.items():
        here = (*path, name)
        if not isinstance(entry, dict):
            raise InvalidCatalogue(
                f"{file}: {'.'.join(here)} is not a table", 'tools are tables: [group.tool] effect = "write"'
            )
        if "effect" in entry and not isinstance(entry["effect"], dict):
            found.append((name, _tool(f"{file}: [{'.'.join(here)}]", name, entry)))
        else:
            found.extend(_tools(file, entry, here))
    return found


def _tool(where: str, name: str, entry: Mapping[str, Any]) -> Tool:
    for member in entry:
        if member not in _MEMBERS:
            near = get_close_matches(member, _MEMBERS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known members: {', '.join(_MEMBERS)}"
            raise InvalidCatalogue(f"{where} has an unknown member {member!r}", hint)
    if entry["effect"] not in _EFFECTS:
        raise InvalidCatalogue(f"{where} effect = {entry['effect']!r}", f"use one of {', '.join(_EFFECTS)}")
    one_per = entry.get("one_per", "")
    try:
        return Tool(
            name=name,
            effect=entry["effect"],
            idempotent=bool(entry.get("idempotent", False)),
            targets=_entities(entry.get("targets", [])),
            creates=_entities(entry.get("creates", [])),
            intent=tuple(JsonPath(path) for path in entry.get("intent", [])),
            one_per=one_per if isinstance(one_per, str) else tuple(JsonPath(path) for path in one_per),
            compensates=tuple(entry.get("compensates", [])),
            refused_pattern=_refusal(entry.get("refused_when")),
        )
    except (InvalidJsonPath, KeyError, TypeError, re.error, ValueError) as error:
        raise InvalidCatalogue(f"{where} {error}", "see docs/catalogue.md for the format") from error


def _entities(entries: list[dict[str, Any]]) -> tuple[EntityPath, ...]:
    return tuple(
        EntityPath(entry["kind"], JsonPath(entry["path"]), bool(entry.get("lasting", False))) for entry in entries
    )


def _refusal(entry: Mapping[str, str] | None) -> re.Pattern[str] | None:
    if not entry:
        return None
    if "prefix" in entry:
        return re.compile(r"\A" + re.escape(entry["prefix"]))
    return re.compile(entry["pattern"])
