"""How the evidence of each kind of finding is drawn: one module a detector, chosen by its name.

Evidence is read with tolerance: a detector may leave out what the record did not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from driftline.web.evidence import duplicate_effect, partial_completion, stale_context
from driftline.web.evidence.tolerant import tolerant

Known = Mapping[tuple[str, str], Mapping[str, Any]]

_VIEWS: Mapping[str, Callable[[Mapping[str, Any], Known], Any]] = {
    "duplicate_effect": duplicate_effect.view,
    "stale_context": stale_context.view,
    "partial_completion": partial_completion.view,
}


@dataclass(frozen=True)
class Evidence:
    """What a finding rests on: `view` is drawn by `template`; `raw` is the evidence as the detector gave it."""

    template: str
    view: Any
    raw: Mapping[str, Any]


def draw(body: Mapping[str, Any], known: Known) -> Evidence:
    """The evidence of a finding (its JSON *body*), with the facts *known* about its spans by (trace id, span id)."""
    raw = tolerant(body.get("evidence") or {})
    build = _VIEWS.get(body.get("detector", ""))
    view = build({**body, "evidence": raw}, known) if build and raw else None
    template = "evidence/any.html"
    if view is not None:
        template = getattr(view, "template", f"evidence/{body['detector']}.html")
    return Evidence(template, view, raw)
