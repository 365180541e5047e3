"""Looks up the spans that findings name: what they are called and where in the program they were made."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from driftline.analyzers.groups import group_findings
from driftline.cli.formats import Site
from driftline.cli.queries import ask

if TYPE_CHECKING:
    from driftline.analyzers import Report
    from driftline.analyzers.finding import SpanRef
    from driftline.collector.store import Store

_GROUPS = 1000  # more defects than any report shows
_AT_ONCE = 300  # spans asked for at once: through the server the ids travel in a URL


def read_sites(store: Store, report: Report) -> dict[tuple[str, str], Site]:
    """The spans of each defect's first finding by (trace id, span id); under (trace id, '') where the run begins."""
    wanted: dict[SpanRef, None] = {}
    for group in group_findings(report)[:_GROUPS]:
        wanted.update(dict.fromkeys(group.first.spans))
    found: dict[tuple[str, str], Site] = {}
    rest = iter(wanted)
    while chunk := list(islice(rest, _AT_ONCE)):
        asked = {"traces": sorted({s.trace_id for s in chunk}), "spans": sorted({s.span_id for s in chunk})}
        for row in ask(store, "finding_spans", **asked):
            site = Site(row["name"], row["agent"], row["code_file"], row["code_line"] or 0, row["start_ns"])
            found[row["trace_id"], row["span_id"]] = site
            if row["kind"] == "run":
                found[row["trace_id"], ""] = site
    return found
