"""`driftline show`: one run as a tree, or one finding with its evidence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, ProjectOption, reading
from driftline.cli.formats.plain import one_line
from driftline.cli.options import ListFormat, expect_list_format
from driftline.cli.terminal import write
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    import polars as pl

    from driftline.collector.store import Store

_IN_FULL = 3  # findings of one fingerprint that are shown whole; the other runs are named
_MOST = 1000


class UnknownId(DriftlineError):
    """Nothing in the store has this id, or more than one thing has."""


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("show")(show)


def show(
    what: Annotated[str, typer.Argument(metavar="ID", help="A run id or a finding's id, or how one begins.")],
    data: DataOption = DEFAULT_DATA,
    project: ProjectOption = None,
    unfold: Annotated[bool, typer.Option("--all", help="A line for every span: nothing folded.")] = False,
    events: Annotated[
        bool, typer.Option("--events", help="Below every span its events and log records, in order of time.")
    ] = False,
    fmt: ListFormat = "text",
) -> None:
    """Show a run as a tree, or a finding with its argument.

    Attempts of one call and repeated calls are folded into a line each.
    """
    expect_list_format(fmt)
    with reading(data, project) as store:
        wanted = what
        if not _show(store, wanted, fmt, unfold=unfold or events, events=events):
            wanted = _begins_with(store, what)
            _show(store, wanted, fmt, unfold=unfold or events, events=events)


def _show(store: Store, what: str, fmt: str, *, unfold: bool, events: bool) -> bool:
    """Show the finding or the run *what*; false if there is neither."""
    from driftline.cli.queries import ask
    from driftline.web.queries import Reader
    from driftline.web.run_spans import load_run_spans

    bodies = ask(store, "finding_bodies", ids=[what], run="", limit=_MOST)
    if bodies:
        _show_findings(store, [json.loads(row["body"]) for row in bodies], fmt)
        return True
    spans = load_run_spans(Reader(store), what)
    if spans.height:
        _show_run(store, what, spans, fmt, unfold=unfold, events=events)
    return spans.height > 0


def _begins_with(store: Store, what: str) -> str:
    """The one id that begins with *what*.

    Raises:
        UnknownId: there is none, or there are several.
    """
    from driftline.cli.queries import ask

    found = [row["id"] for row in ask(store, "ids_like", prefix=what)] if what else []
    if len(found) == 1:
        return str(found[0])
    if found:
        raise UnknownId(f"several ids begin with {what!r}: {', '.join(found)}", "type more of it")
    raise UnknownId(f"the store has no run and no finding {what!r}", "see `driftline runs` and `driftline findings`")


def _show_findings(store: Store, found: list[dict[str, Any]], fmt: str) -> None:
    from driftline.cli.queries import ask
    from driftline.cli.tables import print_json

    if fmt == "json":
        print_json(found)
        return
    spans = [span for finding in found[:_IN_FULL] for span in finding["spans"]]
    sites = {
        (row["trace_id"], row["span_id"]): row
        for row in ask(
            store,
            "finding_spans",
            traces=sorted({span["trace_id"] for span in spans}),
            spans=sorted({span["span_id"] for span in spans}),
        )
    }
    blocks = []
    for finding in found[:_IN_FULL]:
        head = f"{finding['id']}  {finding['severity']}  {finding['detector']}.{finding['anomaly']}"
        lines = [f"{head}  {finding['grade']}", *_argument(finding)]
        lines += [_span_line(span, sites.get((span["trace_id"], span["span_id"]))) for span in finding["spans"]]
        blocks.append("\n".join(lines))
    rest = [finding["run_id"] for finding in found[_IN_FULL:]]
    if rest:
        blocks.append(f"and {len(rest)} more, in runs {one_line(', '.join(dict.fromkeys(rest)))}")
    write("\n\n".join(blocks))


def _argument(finding: dict[str, Any]) -> list[str]:
    """The sentence, and why it is true."""
    explanation = finding["explanation"]
    lines = [f"  {one_line(finding['title'])}"]
    told = [("let", line) for line in explanation["let"]] + [("then", line) for line in explanation["then"]]
    told.append(("however", explanation["however"]))
    if finding.get("margin_ms") is not None:
        told.append(("margin", f"{finding['margin_ms']:g} ms between the clocks' order and its opposite"))
    if finding.get("source"):
        told.append(("where", f"{finding['source']['file']}:{finding['source']['line']}"))
    told.append(("run", f"{finding['run_id']}  {finding['workflow']}".rstrip()))
    return lines + [f"    {word:<8} {one_line(text)}" for word, text in told if text]


def _span_line(span: dict[str, Any], site: dict[str, Any] | None) -> str:
    told = [f"{span['role']}:"]
    if site:
        told += [site["name"], f"by {site['agent']}" if site["agent"] else ""]
    told.append(f"trace {span['trace_id']} span {span['span_id']}")
    return f"    {'span':<8} {one_line(' '.join(part for part in told if part))}"


def _show_run(store: Store, run: str, spans: pl.DataFrame, fmt: str, *, unfold: bool, events: bool) -> None:
    from driftline.cli.queries import ask
    from driftline.cli.run_events import lines_by_span, load_events
    from driftline.cli.run_tree import RunTree, duration
    from driftline.cli.tables import print_json

    found = [json.loads(row["body"]) for row in ask(store, "finding_bodies", ids=[], run=run, limit=_MOST)]
    unjudged = ask(store, "not_checked", run=run)
    happened = load_events(store, spans["trace_id"].unique()) if events else []
    if fmt == "json":
        told = {"run_id": run, "spans": spans.rows(named=True), "findings": found, "not_checked": unjudged}
        print_json({**told, "events": happened} if events else told)
        return
    marks: dict[tuple[str, str], list[str]] = {}
    for finding in found:
        for span in finding["spans"]:
            mark = f"<- {finding['id']} {one_line(span['role'])}"
            marks.setdefault((span["trace_id"], span["span_id"]), []).append(mark)
    took = (int(spans["end_ns"].max() or 0) - int(spans["start_ns"].min() or 0)) / 1e6  # type: ignore[arg-type]
    traces, agents = spans["trace_id"].n_unique(), spans.filter(spans["agent"] != "")["agent"].n_unique()
    length = "times made up" if (spans["clock"] == "synthetic").any() else duration(took)
    lines = [f"run {one_line(run)}  {spans.height:,} spans, {traces} traces, {agents} agents, {length}"]
    starts = {
        (trace, span): -1 if clock == "synthetic" else start
        for trace, span, clock, start in spans.select("trace_id", "span_id", "clock", "start_ns").iter_rows()
    }
    below = lines_by_span(happened, starts)
    lines.extend(RunTree(spans, marks, unfold=unfold, events=below).lines())
    if found:
        lines += ["", "findings:"]
        lines.extend(f"  {f['severity']:<8}{f['id']}  {f['grade']}  {one_line(f['title'])}" for f in found)
    if unjudged:
        lines += ["", "not checked:"]
        lines.extend(f"  {row['detector']}: {one_line(row['reason'])}" for row in unjudged)
    write("\n".join(lines))
