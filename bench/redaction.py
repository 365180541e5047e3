"""What redaction costs: the same requests into a store without rules and into one with five.

    python bench/redaction.py

Requests of `bench/ingest.py` go straight into the embedded engine, each store in a process of its own, CPU time of all
its threads counted. `rare`: rules that find next to nothing in them. `common`: rules that mean the arguments and
results of every call.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ingest

from driftline._redaction_rules import parse_rules
from driftline.analyzers import install_views
from driftline.collector.otlp import framed
from driftline.collector.redaction import wanted
from driftline.collector.store import open_store

REQUESTS = 100
_PRESETS: list[dict[str, Any]] = [
    {"preset": "secrets"},
    {"preset": "emails", "action": "hash"},
    {"preset": "credit_cards"},
]
RULES: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "rare": [*_PRESETS, {"keys": "user.*", "action": "hash"}, {"keys": "http.request.body", "action": "drop"}],
    "common": [*_PRESETS, {"keys": "user.*", "action": "hash"}, {"keys": "gen_ai.tool.call.*", "action": "mask"}],
}


def measure(which: str) -> dict[str, float]:
    """Spans a CPU second in large batches, and CPU seconds of a batch of one request."""
    large = b"".join(framed(body) for body in ingest.requests(REQUESTS))
    small = [framed(body) for body in ingest.requests(9, seed=3)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with open_store(place, redaction=wanted(parse_rules(RULES[which], "bench"), place)) as store:
            install_views(store)
            store.insert_requests(small[0], "warm-up")
            times = []
            for number, batch in enumerate([large, large, *small]):
                begun = time.process_time()
                store.insert_requests(batch, f"batch-{number}")
                times.append(time.process_time() - begun)
    return {"spans": REQUESTS * ingest.SPANS / min(times[:2]), "small": sorted(times[2:])[len(small) // 2]}


def main() -> None:
    """Measure each in a process of its own and print the ratios."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    found = {}
    for which in RULES:
        done = subprocess.run([sys.executable, __file__, which], capture_output=True, text=True, check=True)
        found[which] = json.loads(done.stdout)
    plain = found["none"]
    for which, one in found.items():
        print(
            f"{which:7} {one['spans']:9,.0f} spans a CPU second ({one['spans'] / plain['spans']:.2f}x), "
            f"one request of {ingest.SPANS}: {1000 * one['small']:4.0f} ms CPU ({one['small'] / plain['small']:.1f}x)"
        )


if __name__ == "__main__":
    main()
