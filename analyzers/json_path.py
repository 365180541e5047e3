"""The small part of JSONPath (RFC 9535) that names values inside arguments: members, indexes and wildcards."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\['([^']*)'\]|\[(\d+)\]|\[\*\]|\.\*")


class InvalidJsonPath(ValueError):
    """A path outside the supported part: `$`, `.name`, `['name']`, `[0]`, `[*]`, `.*`."""


@dataclass(frozen=True)
class JsonPath:
    """A path such as `$.flights[*].date`."""

    text: str
    _steps: tuple[str | int | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_steps", _parse(self.text))

    def find(self, document: Any) -> list[Any]:
        """All values the path names in *document*, in order; none where the document has another shape."""
        values = [document]
        for step in self._steps:
            values = [found for value in values for found in _children(value, step)]
        return values


def _parse(text: str) -> tuple[str | int | None, ...]:
    if not isinstance(text, str) or not text.startswith("$"):
        raise InvalidJsonPath(f"path {text!r} does not begin with $")
    steps: list[str | int | None] = []
    position = 1
    while position < len(text):
        match = _STEP.match(text, position)
        if not match:
            raise InvalidJsonPath(f"path {text!r} is not understood from {text[position:]!r} on")
        name, quoted, index = match.groups()
        steps.append(int(index) if index is not None else name if name is not None else quoted)
        position = match.end()
    return tuple(steps)


def _children(value: Any, step: str | int | None) -> list[Any]:
    if step is None:
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if isinstance(step, int):
        return [value[step]] if isinstance(value, list) and step < len(value) else []
    return [value[step]] if isinstance(value, dict) and step in value else []
