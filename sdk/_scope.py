"""What a span inherits: the run (in W3C baggage, so that it travels), the agent, its instance, the variant."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from driftline import attributes as at
from driftline._settings import settings

# Kept in the Context, not in a variable of ours: it follows whatever carries OpenTelemetry's own context.
_KEY = otel_context.create_key("driftline.scope")
_INHERITED = (at.AGENT, at.AGENT_INSTANCE, at.CONVERSATION, at.VARIANT)
_CWD = str(Path.cwd()) + os.sep


def enter(base: Context, added: Mapping[str, str]) -> Context:
    """*base* with the members of *added* in scope; a run id also goes into baggage."""
    if not added:
        return base
    context = base
    if at.RUN_ID in added:
        context = baggage.set_baggage(at.RUN_ID, added[at.RUN_ID], context)
    outer: dict[str, str] = dict(context.get(_KEY) or {})  # type: ignore[call-overload]
    if at.AGENT in added:
        outer.pop(at.AGENT_INSTANCE, None)
    return otel_context.set_value(_KEY, {**outer, **added}, context)


def inherited(context: Context, said: Mapping[str, Any]) -> dict[str, Any]:
    """The scope's attributes for a span that says *said* itself."""
    scope: dict[str, str] = context.get(_KEY) or {}  # type: ignore[assignment]
    found: dict[str, Any] = {key: scope[key] for key in _INHERITED if key in scope and key not in said}
    run = current_run(context)
    if run:
        found[at.RUN_ID] = run
    if settings.variant and at.VARIANT not in said and at.VARIANT not in found:
        found[at.VARIANT] = settings.variant
    return found


def current_run(context: Context | None = None) -> str:
    """The run id in scope, '' outside of any run."""
    found = baggage.get_baggage(at.RUN_ID, context)
    return found if isinstance(found, str) else ""


def relative(file: str) -> str:
    """*file* relative to the folder the program was started in, where it lies inside."""
    return file.removeprefix(_CWD)
