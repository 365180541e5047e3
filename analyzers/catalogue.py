"""The tool catalogue: what each tool does to the world, declared by those who know.

A TOML file. Tables hold tools (`[group.tool]`; the group is for reading only: a tool name means the same everywhere):

- `effect`: none | read | write | destructive; `idempotent`: a second identical call leaves the state as it is
- `targets`: the entities acted on, `[{kind, path}]`, path into the arguments; `creates`: likewise, into the result.
  `lasting = true` beside a path: the entity outlives a run, so two runs that name it act on the same one
- `intent`: paths into the arguments; two calls with equal values there are one intent, whatever else differs
- `one_per`: at most one application for each "run", each "target", or each value of the given paths
- `compensates`: the tools this one undoes, when its targets are what they created or acted on
- `refused_when`: `{prefix = "Error"}` or `{pattern = "regular expression"}` over the result: the call changed nothing
- `reads`, `also`, `on_repeat`: notes for people; nothing is concluded from them

More, with a full example, in docs/catalogue.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
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
        return tuple(f"{self.kind}/{value}" for value in self.path.find(document) if _is_id(value))


def _is_id(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""


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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidCatalogue(f"the catalogue {file} is not valid TOML: {error}", "mend that line") from error
    tools = {group: _tools(str(file), {group: entry}) for group, entry in data.items()}
    found: dict[str, Tool] = {}
    for where, tool in (member for members in tools.values() for member in members):
        if found.setdefault(tool.name, tool) != tool:
            raise InvalidCatalogue(
                f"{where} declares {tool.name!r} a second time, otherwise",
                "a tool name means the same in every group: keep one of the two",
            )
    for where, tool in (member for members in tools.values() for member in members):
        for other in tool.compensates:
            _expect_one_of(other, found, f"{where} compensates = {other!r} names no tool of this catalogue")
    return Catalogue(found, {group: frozenset(tool.name for _, tool in members) for group, members in tools.items()})


def _tools(file: str, table: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, Tool]]:
    """Every tool in *table* with the place it stands at."""
    found = []
    for name, entry in table.items():
        here = (*path, name)
        where = f"{file}: [{'.'.join(here)}]"
        if not isinstance(entry, dict):
            raise InvalidCatalogue(
                f"{file}: {'.'.join(here)} is not a table", 'tools are tables: [group.tool] effect = "write"'
            )
        if "effect" in entry and not isinstance(entry["effect"], dict):
            found.append((where, _tool(where, name, entry)))
        elif any(not isinstance(member, dict) for member in entry.values()):
            near = get_close_matches("effect", entry, 1)
            hint = f"is {near[0]!r} meant to be it?" if near else f"use one of {', '.join(_EFFECTS)}"
            raise InvalidCatalogue(f"{where} declares a tool without an effect", hint)
        else:
            found.extend(_tools(file, entry, here))
    return found


def _tool(where: str, name: str, entry: Mapping[str, Any]) -> Tool:
    for member in entry:
        _expect_one_of(member, _MEMBERS, f"{where} has an unknown member {member!r}")
    if entry["effect"] not in _EFFECTS:
        raise InvalidCatalogue(f"{where} effect = {entry['effect']!r}", f"use one of {', '.join(_EFFECTS)}")
    return Tool(
        name=name,
        effect=entry["effect"],
        idempotent=_flag(where, entry, "idempotent"),
        targets=_entities(where, entry, "targets"),
        creates=_entities(where, entry, "creates"),
        intent=_paths(where, "intent", entry["intent"]) if "intent" in entry else (),
        one_per=_one_per(where, entry),
        compensates=_names(where, entry, "compensates"),
        refused_pattern=_refusal(where, entry.get("refused_when")),
    )


def _expect_one_of(word: str, known: Iterable[str], what: str) -> None:
    names = list(known)
    if word not in names:
        near = get_close_matches(word, names, 1)
        raise InvalidCatalogue(what, f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}")


def _flag(where: str, entry: Mapping[str, Any], member: str) -> bool:
    value = entry.get(member, False)
    if not isinstance(value, bool):
        raise InvalidCatalogue(f"{where} {member} = {value!r}", "use true or false, without quotes")
    return value


def _names(where: str, entry: Mapping[str, Any], member: str) -> tuple[str, ...]:
    value = entry.get(member, [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InvalidCatalogue(f"{where} {member} = {value!r}", f'use a list of names: {member} = ["name"]')
    return tuple(value)


def _paths(where: str, member: str, value: Any) -> tuple[JsonPath, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidCatalogue(f"{where} {member} = {value!r}", f'use a list of paths: {member} = ["$.order_id"]')
    return tuple(_path(where, member, path) for path in value)


def _path(where: str, member: str, text: Any) -> JsonPath:
    try:
        return JsonPath(text)
    except InvalidJsonPath as error:
        raise InvalidCatalogue(
            f"{where} {member}: {error}", "paths are made of $ .name ['name'] [0] [*] .*; see docs/catalogue.md"
        ) from error


def _one_per(where: str, entry: Mapping[str, Any]) -> str | tuple[JsonPath, ...]:
    value = entry.get("one_per", "")
    if isinstance(value, list):
        return _paths(where, "one_per", value)
    if "one_per" in entry and value not in ("run", "target"):
        raise InvalidCatalogue(f"{where} one_per = {value!r}", 'use "run", "target" or a list of paths')
    if value == "target" and not entry.get("targets"):
        raise InvalidCatalogue(f'{where} one_per = "target", but declares no targets', "add targets")
    return str(value)


def _entities(where: str, entry: Mapping[str, Any], member: str) -> tuple[EntityPath, ...]:
    value = entry.get(member, [])
    form = f'use a list of tables: {member} = [{{ kind = "order", path = "$.order_id" }}]'
    if not isinstance(value, list):
        raise InvalidCatalogue(f"{where} {member} = {value!r}", form)
    found = []
    for entity in value:
        if not isinstance(entity, dict) or not {"kind", "path"} <= entity.keys() <= {"kind", "path", "lasting"}:
            raise InvalidCatalogue(f"{where} {member} holds {entity!r}", form)
        if not isinstance(entity["kind"], str) or not entity["kind"]:
            raise InvalidCatalogue(f"{where} {member}: kind = {entity['kind']!r}", form)
        path = _path(where, member, entity["path"])
        found.append(EntityPath(entity["kind"], path, _flag(f"{where} {member}:", entity, "lasting")))
    return tuple(found)


def _refusal(where: str, value: Any) -> re.Pattern[str] | None:
    if value is None:
        return None
    one = isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), str)
    if not one or not value.keys() <= {"prefix", "pattern"}:
        raise InvalidCatalogue(
            f"{where} refused_when = {value!r}", 'use { prefix = "Error" } or { pattern = "regular expression" }'
        )
    if "prefix" in value:
        return re.compile(r"\A" + re.escape(value["prefix"]))
    try:
        return re.compile(value["pattern"])
    except re.error as error:
        raise InvalidCatalogue(
            f"{where} refused_when: {value['pattern']!r} is no regular expression: {error}", "mend the pattern"
        ) from error
