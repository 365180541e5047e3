"""Every page and its JSON twin, asked for in every way their addresses allow, and in many that they do not."""

from __future__ import annotations

from api_schemas import pages, try_to_break
from samples import duplicate, stale
from serving_apps import listening

from driftline.collector.store import Store
from driftline.web import create_app

SINCE = ["1h", "24h", "7d", "30d", "all"]
NUMBERS = ["1", "2", "100000", "0", "-1", "9" * 30]
FOUND = ["", "error", "warning", "none", "definite", "possible"]
FILTERS: dict[str, dict[str, list[str]]] = {
    "/overview": {"since": SINCE},
    "/runs": {
        "since": SINCE, "workflow": ["trip"], "status": ["complete"], "outcome": ["ok", "error"], "severity": FOUND,
        "agent": ["planner"], "text": ["dup", "%"], "sort": ["started", "findings"], "order": ["asc", "desc"],
        "page": NUMBERS,
    },
    "/runs/{run_id}": {"span": ["x-y"], "open": ["1", "all"], "finding": [duplicate().id]},
    "/runs/{run_id}/rows": {"under": ["", "x-y"], "start": NUMBERS},
    "/runs/{run_id}/spans/{trace_id}/{span_id}": {},
    "/findings": {
        "since": SINCE, "workflow": ["trip"], "severity": FOUND, "grade": FOUND, "detector": ["duplicate_effect"],
        "anomaly": ["repeated_effect"], "text": ["book"],
    },
    "/findings/{fingerprint}": {"page": NUMBERS},
    "/findings/{fingerprint}/{run_id}": {"occurrence": NUMBERS},
}  # fmt: skip
PLACES = {
    "run_id": ["dup", "stale", "synthetic", "partial", "clean3"],
    "trace_id": ["0" * 32, "x"],
    "span_id": ["0" * 16, "y"],
    "fingerprint": [duplicate().id, stale().id],
}


def test_no_address_is_a_fault_of_the_server(store: Store) -> None:
    """Pages are HTML and their twins JSON, also where they say that there is nothing."""
    app = create_app(store)
    with listening(app) as address:
        described = pages(app, FILTERS, PLACES)
        assert try_to_break(address, described, examples=20) == len(described["paths"]) == 2 * len(FILTERS) - 1
