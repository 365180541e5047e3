"""Arguments and results on their way out: digests, and content where the program allows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from driftline import attributes as at
from driftline._guard import guarded
from driftline._settings import settings
from driftline.canonical import NotCanonical, digest

if TYPE_CHECKING:
    from driftline._operation import Handle

_INT64 = 2**63


def capture_arguments(handle: Handle, bind: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Say what a call was given: positional and keyword calls alike, defaults included, `self` left out."""
    with guarded("reading arguments"):
        try:
            bound = bind(*args, **kwargs)
        except TypeError:
            return  # the call itself will raise it
        bound.apply_defaults()
        named = {name: value for name, value in bound.arguments.items() if name not in ("self", "cls")}
        say_arguments(handle, named)


def say_arguments(handle: Handle, value: Any) -> None:
    """Put digest and, with full capture, content of arguments on the span."""
    _say(handle, value, at.ARGS_DIGEST, at.TOOL_ARGUMENTS)


def capture_result(handle: Handle, value: Any) -> None:
    """Likewise of a result, unless the program said it itself."""
    if at.RESULT_DIGEST not in handle._said:
        _say(handle, value, at.RESULT_DIGEST, at.TOOL_RESULT)


def _say(handle: Handle, value: Any, digest_key: str, content_key: str) -> None:
    with guarded("capturing a value"):
        if settings.capture == "off":
            return
        try:
            handle.set(digest_key, digest(value))
        except (NotCanonical, RecursionError):
            # No digest is better than one that differs between equal calls.
            pass
        if settings.capture == "full":
            handle.set(content_key, shortened(as_text(value)))


def as_text(value: Any) -> str:
    """*value* as JSON text for reading; text stays as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def shortened(text: str) -> str:
    """*text*, cut at the limit with a mark that says so."""
    over = len(text) - settings.limit
    return text if over <= 0 else f"{text[: settings.limit]}…[truncated {over} chars]"


def safe_value(value: Any) -> Any:
    """*value* in a form every exporter can encode; None when there is none."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else str(value)
    if isinstance(value, float):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if _has_surrogate(value) else value
    if isinstance(value, Mapping):
        return shortened(as_text(dict(value)))
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [safe_value(item) for item in value]
        return items if all(isinstance(item, type(items[0])) for item in items) else [str(item) for item in items]
    return str(value)


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text) if not text.isascii() else False
