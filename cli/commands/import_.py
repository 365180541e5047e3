"""`driftline import`: recordings of other tools, as runs to judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, ProjectOption, data_option

if TYPE_CHECKING:
    from driftline.analyzers import Config
    from driftline.cli.importers.delivery import Delivered

app = typer.Typer(
    help="Import recordings of other tools, so that their runs can be judged like traced ones.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Requests = Callable[[Callable[[str, int, int], None]], Sequence[Any]]

CatalogOption = Annotated[str | None, typer.Option("--catalog", metavar="FILE", help="Tool catalogue.")]
OutOption = Annotated[
    str | None,
    typer.Option("--out", metavar="FILE", help="Write OTLP/JSON lines (- is standard output) and store nothing."),
]
FormatOption = Annotated[str, typer.Option("--format", metavar="text|json", help="How to print the outcome.")]


@app.command("tau")
def tau(
    file: Annotated[str, typer.Argument(metavar="FILE", help="tau-bench trajectories: .json or .json.gz.")],
    catalog: Annotated[str, typer.Option("--catalog", metavar="FILE", help="Tool catalogue: what each tool does.")],
    expects: Annotated[
        bool, typer.Option("--expects", help="Take the writes a task expects as the obligations of its run.")
    ] = False,
    oracle: Annotated[
        str | None, typer.Option("--oracle", metavar="FILE", help="Replay: what each call read and changed.")
    ] = None,
    domain: Annotated[
        str, typer.Option(help="airline, retail, …; by default told from the tools.", show_default=False)
    ] = "",
    model: Annotated[str, typer.Option(help="The agent's model, which the recording does not name.")] = "gpt-4o",
    data: DataOption = DEFAULT_DATA,
    project: ProjectOption = None,
    out: OutOption = None,
    fmt: FormatOption = "text",
) -> None:
    """Import tau-bench trajectories."""
    from driftline.cli.importers.tau import read_oracle, read_trajectories
    from driftline.cli.importers.tau_spans import request_of
    from driftline.cli.settings import config_from

    settings = config_from(None, catalog, None)

    def requests(say: Callable[[str, int, int], None]) -> Sequence[Any]:
        say("reading", 0, 1)
        runs = read_trajectories(file, settings.catalogue.groups, domain)
        replay = read_oracle(oracle) if oracle else None
        if replay:
            replay.check_covers(run.run for run in runs)
        found = []
        for number, run in enumerate(runs, start=1):
            found.append(request_of(run, settings.catalogue, model, expects=expects, oracle=replay))
            say("converting", number, len(runs))
        _say_unknown(sorted({call.tool for run in runs for _, calls in run.turns for call in calls}), settings)
        return found

    _import(requests, (data, project or "default"), out, fmt, settings)


@app.command("langfuse")
def langfuse(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Exported Langfuse traces: .json or .json.gz.")],
    catalog: CatalogOption = None,
    data: DataOption = DEFAULT_DATA,
    project: ProjectOption = None,
    out: OutOption = None,
    fmt: FormatOption = "text",
) -> None:
    """Import traces exported from Langfuse, whichever framework wrote them."""
    from driftline.cli.importers.langfuse import read_trace
    from driftline.cli.settings import config_from

    def requests(say: Callable[[str, int, int], None]) -> Sequence[Any]:
        found = []
        for number, name in enumerate(files, start=1):
            found.extend(read_trace(name))
            say("reading", number, len(files))
        return found

    _import(requests, (data, project or "default"), out, fmt, config_from(None, catalog, None))


def _import(requests: _Requests, place: tuple[str, str], out: str | None, fmt: str, settings: Config) -> None:
    from driftline.cli.importers.delivery import deliver, write_file
    from driftline.cli.terminal import progress

    if fmt not in ("text", "json"):
        raise typer.BadParameter(f"{fmt!r} is not one of text, json", param_hint="--format")
    data, project = place
    with progress() as say:
        found = requests(say)
        delivered = write_file(found, out) if out else deliver(found, data, settings, say, project)
    # What goes to standard output must stay readable by the next program.
    typer.echo(_json(delivered) if fmt == "json" else _text(delivered, data), err=out == "-")


def _text(delivered: Delivered, data: str) -> str:
    from driftline.analyzers.groups import group_findings
    from driftline.cli.formats.summary import found

    head = f"imported {_count(delivered.traces, 'run')}, {_count(delivered.spans, 'span')} into {delivered.where}"
    if delivered.server:
        return f"{head}\n  the server judges them in a moment: {delivered.server.web}"
    if delivered.report is None:
        return head
    said = found(delivered.report, group_findings(delivered.report))
    option = data_option(data)
    return f"{head}\n  {said}: see `driftline report{option}` and `driftline up{option}`"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _json(delivered: Delivered) -> str:
    report = delivered.report
    return json.dumps(
        {
            "runs": delivered.traces,
            "spans": delivered.spans,
            "where": delivered.where,
            "findings": None if report is None else len(report.findings),
        }
    )


def _say_unknown(tools: Sequence[str], settings: Config) -> None:
    unknown = [tool for tool in tools if settings.catalogue.get(tool) is None]
    if unknown:
        typer.echo(f"driftline: the catalogue does not know {', '.join(unknown)}: their effect stays open", err=True)
