"""`driftline show`: one run as a tree, or one finding with its evidence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, open_for_reading
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.store import Store

_RUN_SQL = """
SELECT trace_id, span_id, parent_id, kind, name, agent, status, attempt, call_id, effect_outcome, pending, clock,
       toUnixTimestamp64Nano(started_at) AS start_ns, toUnixTimestamp64Nano(ended_at) AS end_ns
FROM steps FINAL
WHERE run_id = {run:String}
   OR (run_id = '' AND trace_id IN (SELECT trace_id FROM run_traces FINAL WHERE run_id = {run:String}))
   OR (run_id = '' AND trace_id = {run:String})
ORDER BY start_ns, span_id
"""


class UnknownId(DriftlineError):
    """Nothing in the store has this id."""


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("show")(show)


def show(
    what: Annotated[str, typer.Argument(metavar="ID", help="A run id, or the id of a finding.")],
    data: DataOption = DEFAULT_DATA,
    fmt: Annotated[str, typer.Option("--format", metavar="text|json", help="How to print.")] = "text",
) -> None:
    """Show one run as a tree of its steps, or one finding with its argument and spans."""
    store = open_for_reading(data)
    try:
        bodies = store.rows(
            "SELECT body FROM findings FINAL WHERE NOT retracted AND fingerprint = {id:String} ORDER BY run_id LIMIT 5",
            {"id": what},
        )
        if bodies:
            _show_findings([json.loads(row["body"]) for row in bodies], fmt)
            return
        _show_run(store, what, fmt)
    finally:
        store.close()


def _show_findings(found: list[dict[str, Any]], fmt: str) -> None:
    if fmt == "json":
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for finding in found:
        typer.echo(
            f"{finding['id']}  {finding['detector']}.{finding['anomaly']}  {finding['grade']}  run {finding['run_id']}"
        )
        typer.echo(f"  {finding['title']}")
        explanation = finding["explanation"]
        for word, lines in (
            ("let", explanation["let"]),
            ("then", explanation["then"]),
            ("however", [explanation["however"]]),
        ):
            for line in lines:
                typer.echo(f"    {word:<8} {line}")
        for span in finding["spans"]:
            typer.echo(f"    span     {span['role']:<14} trace {span['trace_id']} span {span['span_id']}")


def _show_run(store: Store, run: str, fmt: str) -> None:
    spans = store.rows(_RUN_SQL, {"run": run})
    if not spans:
        raise UnknownId(f"the store has no run and no finding {run!r}", "see `driftline runs` and `driftline findings`")
    if fmt == "json":
        typer.echo(json.dumps(spans, indent=2, ensure_ascii=False))
        return
    known = {(span["trace_id"], span["span_id"]) for span in spans}
    children: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for span in spans:
        above = (span["trace_id"], span["parent_id"])
        children.setdefault(above if above in known else ("", ""), []).append(span)
    stack = [(span, 0) for span in reversed(children.get(("", ""), []))]
    while stack:
        span, depth = stack.pop()
        typer.echo("  " * depth + _line(span))
        below = children.get((span["trace_id"], span["span_id"]), [])
        stack.extend((child, depth + 1) for child in reversed(below))


def _line(span: dict[str, Any]) -> str:
    marks = [span["name"]]
    if span["attempt"]:
        marks.append(f"attempt {span['attempt']}")
    if span["clock"] != "synthetic":
        marks.append(f"{(span['end_ns'] - span['start_ns']) / 1e6:.1f} ms")
    marks.extend(word for word in (span["effect_outcome"], "FAILED" if span["status"] == "error" else "") if word)
    if span["pending"]:
        marks.append("OPEN")
    return "  ".join(marks)
