"""What tracing a tool call costs, against OpenTelemetry's own `start_as_current_span` with 12 attributes.

    python bench/sdk_overhead.py [--quick] [--rivals]

Both sides run in the same process and the same minute, alternating round by round, over batch processors whose
exporters read every attribute of every span, as any exporter must, and throw it away (in the line `sent as OTLP`:
encode it). A ratio is the median over rounds of ours / theirs. Time is processor time, so that what a busy machine adds
is left out: `all` is of the whole process, the thread that exports included, until the last span of the round has been
handed over, so that what is put off is not left out; `caller` is of the threads that make the calls alone. Absolute
times depend on the machine, ratios hardly. Import time is processor time of fresh interpreters.

`--rivals` measures the tool decorators of other tracing libraries in the same way, each in an environment of its own
that is made for it and thrown away (see `tracing/rivals.py`).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from tracing.costs import (
    Call,
    Encoding,
    Reading,
    Traced,
    Work,
    alternate,
    bare,
    by_hand,
    head,
    in_tasks,
    in_threads,
    one_after_the_other,
    show,
)

import driftline


def by_driftline() -> Traced:
    """As tools of driftline: 15 attributes, among them digests of arguments and result."""

    @driftline.tool(effect="write", idempotent=False)
    def refund(order: Any, cents: int) -> str:  # noqa: ARG001
        return f"refunded {cents}"

    @driftline.tool(effect="write", idempotent=False)
    async def arefund(order: str, cents: int) -> str:  # noqa: ARG001
        return f"refunded {cents}"

    def block(order: str, cents: int) -> str:
        with driftline.tool("refund", effect="write", idempotent=False) as call:
            call.arguments({"order": order, "cents": cents})
            return f"refunded {cents}"

    return Traced(refund, arefund, refund, block, driftline.flush)


def compare(name: str, ours: Work, theirs: Work, rounds: int, count: int) -> None:
    """Measure and print one line."""
    show(name, alternate(ours, theirs, rounds, count))


def import_seconds(statement: str, rounds: int) -> float:
    """The median processor time of *statement* in a fresh interpreter, beyond an empty one; compiled before."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def spent() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    def once(code: str) -> float:
        began = spent()
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        return spent() - began

    with tempfile.TemporaryDirectory() as folder:
        environment["PYTHONPYCACHEPREFIX"] = folder
        once(statement)
        return statistics.median(once(statement) - once("pass") for _ in range(rounds))


def calls(rounds: int, count: int) -> None:
    """The table of calls."""
    driftline.init("bench", exporter=Reading())
    ours, theirs = by_driftline(), by_hand(Reading())
    head("driftline")
    raw = one_after_the_other(theirs.plain, theirs.flush)

    def of_ours(call: Call, order: Any = "991") -> Work:
        return one_after_the_other(call, ours.flush, order)

    with driftline.run("bench"), driftline.agent("clerk"):
        of_ours(ours.plain)(count)
        raw(count)
        compare("tool call", of_ours(ours.plain), raw, rounds, count)
        mine, other = in_threads(ours.plain, ours.flush), in_threads(theirs.plain, theirs.flush)
        compare("8 threads", mine, other, rounds, count)
        mine, other = in_tasks(ours.coroutine, ours.flush), in_tasks(theirs.coroutine, theirs.flush)
        compare("8 tasks", mine, other, rounds, count)
        order = {"id": "991", "lines": [1, 2, 3]}
        other = one_after_the_other(theirs.changeable, theirs.flush, order)
        compare("arguments that may change", of_ours(ours.changeable, order), other, rounds, count)
        compare("as a block, arguments said", of_ours(ours.block), raw, rounds, count)
    driftline.shutdown()
    driftline.init("bench", exporter=Encoding())
    with driftline.run("bench"), driftline.agent("clerk"):
        encoded = by_hand(Encoding())
        mine, other = of_ours(ours.plain), one_after_the_other(encoded.plain, encoded.flush)
        compare("sent as OTLP", mine, other, rounds, count)
    driftline.init(enabled=False)
    compare("switched off", one_after_the_other(ours.plain), raw, rounds, count)
    compare("not decorated at all", one_after_the_other(bare), raw, rounds, count)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a few seconds, coarse figures")
    parser.add_argument("--rivals", action="store_true", help="also other libraries, installed for this; minutes")
    asked = parser.parse_args()
    rounds, count = (7, 1000) if asked.quick else (41, 4000)
    calls(rounds, count)
    few = 5 if asked.quick else 21
    ours = import_seconds("import driftline", few) * 1000
    theirs = import_seconds("import opentelemetry.sdk.trace", few) * 1000
    print(f"\n{'milliseconds to import':<32}{'driftline':>11}{'otel sdk':>11}{'ratio':>11}")
    print(f"{'import':<32}{ours:>11.1f}{theirs:>11.1f}{ours / theirs:>11.2f}")
    if asked.rivals:
        from tracing.rivals import compare_all

        compare_all(rounds, count)


if __name__ == "__main__":
    main()
