"""The arguments of a call, by name: the same for positional and keyword calls, defaults included, `self` left out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

Reader = Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]
_SIMPLE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def arguments_of(function: Any) -> Reader | None:
    """A reader of the arguments *function* is called with; None if it does not say what it takes."""
    if isinstance(function, functools.partial):
        return _of_partial(function)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built into the interpreter
        return None
    parameters = list(signature.parameters.values())
    if any(parameter.kind not in _SIMPLE for parameter in parameters):
        return functools.partial(_bound, signature)
    own = 1 if parameters and parameters[0].name in ("self", "cls") else 0
    names = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD][own:]
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        # A call that does not fit the signature raises by itself; what is read of it then does not matter.
        return {**defaults, **dict(zip(names, args[own:], strict=False)), **kwargs}

    return read


def _of_partial(function: functools.partial[Any]) -> Reader | None:
    inner = arguments_of(function.func)
    if inner is None:
        return None
    return lambda args, kwargs: inner((*function.args, *args), {**function.keywords, **kwargs})


def _bound(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return {}
    bound.apply_defaults()
    first = next(iter(signature.parameters))
    return {name: value for name, value in bound.arguments.items() if name != first or name not in ("self", "cls")}
