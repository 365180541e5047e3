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
    return Named(parameters)


class Named:
    """Reads the arguments of a function all of whose parameters have names."""

    def __init__(self, parameters: list[inspect.Parameter]) -> None:
        self.own = 1 if parameters and parameters[0].name in ("self", "cls") else 0
        self.names = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD][self.own :]
        self.every = [p.name for p in parameters][self.own :]
        self.defaults: dict[str, Any] = {
            p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty
        }
        # Whether no default can change from one call to the next.
        self.settled = all(type(value) in (str, int, float, bool, type(None)) for value in self.defaults.values())

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        return self.of(args[self.own :], kwargs)

    def of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """As a call, of *args* without `self`."""
        # A call that does not fit the signature raises by itself; what is read of it then does not matter.
        return {**self.defaults, **dict(zip(self.names, args, strict=False)), **kwargs}


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
