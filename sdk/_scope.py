"""What a span inherits: the run (in W3C baggage, so that it travels), the agent, its instance, the variant."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from contextvars import Token
from pathlib import Path
from typing import Any

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from driftline import attributes as at
from driftline._settings import settings

# Kept in the Context, not in a variable of ours: it follows whatever carries OpenTelemetry's own context.
KEY = otel_context.create_key("driftline.scope")


def _working_folder() -> str:
    try:
        return str(Path.cwd()) + os.sep
    except OSError:  # deleted under our feet
        return os.sep


_CWD = _working_folder()


def enter(base: Context, added: Mapping[str, str]) -> Context:
    """*base* with the members of *added* in scope; a run id also goes into baggage.

    What is scoped more narrowly ends: a new run is in no agent yet, and another agent is another instance.
    """
    if not added:
        return base
    context = base
    outer: dict[str, str] = dict(context.get(KEY) or {})  # type: ignore[call-overload]
    if at.RUN_ID in added:
        context = baggage.set_baggage(at.RUN_ID, added[at.RUN_ID], context)
        outer.pop(at.AGENT, None)
        outer.pop(at.AGENT_INSTANCE, None)
    if at.AGENT in added:
        outer.pop(at.AGENT_INSTANCE, None)
    members = {key: value for key, value in added.items() if key != at.RUN_ID}
    return otel_context.set_value(KEY, {**outer, **members}, context)


def inherited(context: Context) -> dict[str, Any]:
    """The scope's attributes, for any span begun in *context*; what a span says itself goes over them."""
    return members(current_run(context), settings.variant, context.get(KEY))


def members(run: object, variant: str, scope: Any) -> dict[str, Any]:
    """The attributes of a scope, from its parts."""
    found: dict[str, Any] = {}
    if run and isinstance(run, str):
        found[at.RUN_ID] = run
    if variant:
        found[at.VARIANT] = variant
    if scope:
        found.update(scope)
    return found


def current_run(context: Context | None = None) -> str:
    """The run id in scope, '' outside of any run."""
    found = baggage.get_baggage(at.RUN_ID, context)
    return found if isinstance(found, str) else ""


@functools.lru_cache(maxsize=1024)
def relative(file: str) -> str:
    """*file* relative to the folder the program was started in, where it lies inside."""
    return file.removeprefix(_CWD).replace(os.sep, "/")


def detach(token: Token[Context] | None) -> None:
    """Restore the context; one that was left in another task or thread is nobody's to restore."""
    if token is not None:
        try:
            token.var.reset(token)
        except (ValueError, AttributeError, RuntimeError):
            return
