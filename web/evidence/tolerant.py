"""Evidence may leave out what the record did not hold: a member that is not there reads as None."""

from __future__ import annotations

from typing import Any


class Said(dict[str, Any]):
    """A JSON object that answers None for what it does not say."""

    def __missing__(self, name: str) -> None:
        return None


def tolerant(value: Any) -> Any:
    """*value*, a JSON value, with every object in it as `Said`."""
    if isinstance(value, dict):
        return Said({name: tolerant(inner) for name, inner in value.items()})
    if isinstance(value, list):
        return [tolerant(inner) for inner in value]
    return value
