"""Values on their way out: what attributes can carry, digests, and content where the program allows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import TYPE_CHECKING, Any

from driftline import attributes as at
from driftline._guard import guarded
from driftline._settings import settings
from driftline.canonical import NotCanonical, canonical_json, digest

if TYPE_CHECKING:
    from driftline._handles import Handle

_INT64 = 2**63


def say_arguments(handle: Handle, value: Any) -> None:
    """Put digest and, with full capture, content of arguments on the span."""
    handle.set_all(captured_arguments(value))


def say_result(handle: Handle, value: Any) -> None:
    """Likewise of a result."""
    handle.set_all(captured_result(value))


def captured_arguments(value: Any) -> dict[str, Any]:
    """The attributes that say what a call was given, as far as the program lets it out."""
    return _captured(value, at.ARGS_DIGEST, at.TOOL_ARGUMENTS)


def captured_result(value: Any) -> dict[str, Any]:
    """Likewise of what it returned."""
    return _captured(value, at.RESULT_DIGEST, at.TOOL_RESULT)


def _captured(value: Any, digest_key: str, content_key: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if settings.capture == "off":
        return found
    with guarded("capturing a value"):
        said = safe_digest(value)
        if said is not None:
            found[digest_key] = said
        if settings.capture == "full":
            found[content_key] = shortened(safe_text(as_text(value)))
    return found


def safe_digest(value: Any) -> str | None:
    """The digest of *value*; none is better than one that differs between equal calls."""
    try:
        return digest(value)
    except (NotCanonical, RecursionError):
        return None


def as_text(value: Any) -> str:
    """*value* as JSON text, the canonical one where there is one; text stays as it is."""
    if isinstance(value, str):
        return value
    try:
        return canonical_json(value)
    except (NotCanonical, RecursionError):
        pass
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def shortened(text: str) -> str:
    """*text*, cut at the limit with a mark that says so."""
    over = len(text) - settings.limit
    return text if over <= 0 else f"{text[: settings.limit]}…[truncated {over} chars]"


def safe_value(value: Any) -> Any:
    """*value* in a form every exporter can encode; None when there is none."""
    kind = type(value)
    if kind is bool or value is None or (kind is str and len(value) <= settings.limit and value.isascii()):
        return value  # nearly all are of these, and nothing can go wrong with them
    with guarded("reading a value"):
        return _safe(value)
    return f"<unreadable {type(value).__qualname__}>"


def texts(values: object) -> list[str]:
    """*values* as the elements of a list of texts; what is empty says nothing."""
    return [text for text in map(text_of, elements(values)) if text]


def elements(values: object) -> Iterable[Any]:
    """*values* one by one; a text, or what cannot be iterated over, is the only one."""
    if type(values) in (tuple, list):
        return values  # type: ignore[return-value]
    return values if isinstance(values, Iterable) and not isinstance(values, (str, bytes)) else [values]


def text_of(value: object) -> str:
    """*value* as text, whatever it is; '' for None."""
    safe = safe_value(value)
    return "" if safe is None else str(safe)


def safe_text(text: str) -> str:
    """*text* that UTF-8 can carry: a lone surrogate would cost the whole batch it is sent in."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _safe(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return shortened(safe_text(value))
    if kind is bool or kind is float or value is None:
        return value
    if kind is int:
        return value if -_INT64 <= value < _INT64 else as_text(value).strip('"')
    if isinstance(value, (list, tuple)):
        return _safe_list(value)
    if isinstance(value, AbstractSet):
        return _safe_list(sorted(value, key=str))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return shortened(safe_text(bytes(value).decode("utf-8", "replace")))
    return _safe(_plain(value))


def _plain(value: Any) -> str | int | float:
    """What stands for a value of any other type."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, (str, int, float)) else str(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str.__str__(as_text(value) if isinstance(value, Mapping) else str(value))


def _safe_list(items: Sequence[Any]) -> list[Any]:
    safe = [_safe(as_text(item) if isinstance(item, (list, tuple, AbstractSet, Mapping)) else item) for item in items]
    if all(type(item) is type(safe[0]) for item in safe) and safe[:1] != [None]:
        return safe
    return ["" if item is None else str(item) for item in safe]
