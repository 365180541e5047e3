"""`driftline check`: judge files of traces, with no server and no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli import exit_codes
from driftline.cli.options import CatalogFile, ConfigFile, ReportFormat, Skew, expect_format
from driftline.cli.terminal import progress, remark, render_shown, write
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.analyzers import Config
    from driftline.analyzers.finding import NotChecked
    from driftline.cli.formats import Shown
    from driftline.cli.input import Contents
    from driftline.cli.scratch import Scratch

    Progress = Callable[[str, int, int], None]


_Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="OTLP traces: .json, .jsonl, .pb, each also .gz; - is standard input.",
        show_default=False,
    ),
]
_Baselines = Annotated[
    list[str] | None,
    typer.Option("--baseline", metavar="FILE", help="Record that detectors over many runs compare with (repeatable)."),
]


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("check")(check)


def check(
    files: _Files,
    each: Annotated[bool, typer.Option("--each", help="Judge every file alone.")] = False,
    baseline: _Baselines = None,
    fmt: ReportFormat = "text",
    config: ConfigFile = None,
    catalog: CatalogFile = None,
    skew: Skew = None,
) -> int:
    """Judge files of traces, with no server and no network.

    Exits 0 clean, 1 findings, 2 usage, configuration or input error, 3 internal error, 5 nothing to check.
    """
    from driftline.cli.input import STANDARD_INPUT
    from driftline.cli.scratch import Scratch
    from driftline.cli.settings import config_from

    expect_format(fmt)
    if [*files, *(baseline or [])].count(STANDARD_INPUT) > 1:
        raise typer.BadParameter("standard input (-) can be read only once", param_hint="FILE")
    settings = config_from(config, catalog, skew)
    compared = _read_baselines(baseline or [])
    with Scratch() as scratch, progress() as say:
        if each:
            return _check_each(scratch, files, fmt, settings, compared, say)
        shown = _judge(scratch, files, settings, compared, say)
    write(render_shown(shown, fmt))
    return exit_codes.exit_code(shown.report)


def _judge(
    scratch: Scratch, files: list[str], settings: Config, compared: list[NotChecked], say: Progress, file: str = ""
) -> Shown:
    """Load all *files* as one record and judge it."""
    from driftline.analyzers import analyse
    from driftline.cli.formats import Shown
    from driftline.cli.input import STANDARD_INPUT
    from driftline.cli.sites import read_sites

    left_out = []
    for number, name in enumerate(files):
        say(f"reading {name}", number, len(files))
        left_out.extend(_remark(scratch.load(name)))
    report = analyse(scratch.store, config=settings, progress=say, pass_over_failing=True)
    report = replace(report, not_checked=(*left_out, *compared, *report.not_checked))
    shown = Shown(report, file=file, fail_on=settings.fail_on, sites=read_sites(scratch.store, report))
    return shown if files[0] == STANDARD_INPUT else replace(shown, origin=files[0])


def _check_each(
    scratch: Scratch, files: list[str], fmt: str, settings: Config, compared: list[NotChecked], say: Progress
) -> int:
    """Judge the files one by one. One that cannot be read is named; the others are judged all the same."""
    from driftline.cli.formats import json_, render_all, renders_all

    together = renders_all(fmt)
    collected: list[Shown] = []
    codes = []
    for name in files:
        scratch.empty()
        try:
            shown = _judge(scratch, [name], settings, compared, say, name)
        except DriftlineError as error:
            remark(f"{error.what}\n  {error.todo}")
            if fmt == "json":
                write(json_.failure(name, error.what, error.todo))
            codes.append(exit_codes.USAGE)
            continue
        codes.append(exit_codes.exit_code(shown.report))
        if together:
            collected.append(shown)
        else:
            write(render_shown(shown, fmt) if fmt == "json" else f"== {name}\n{render_shown(shown, fmt)}")
    if together:
        write(render_all(collected, fmt))
    return exit_codes.worst(codes)


def _remark(contents: Contents) -> list[NotChecked]:
    """Say what is odd about a file; spans that were left out are something not checked."""
    from driftline.analyzers.finding import NotChecked

    said = contents.remark()
    if said:
        remark(said)
    return [NotChecked("input", said)] if contents.rejected else []


def _read_baselines(names: list[str]) -> list[NotChecked]:
    """Read the baselines, so that a bad file is an error now, and name them: no detector of this version compares."""
    from driftline.analyzers.finding import NotChecked
    from driftline.cli.scratch import read_file

    found = []
    for name in names:
        contents = read_file(name)
        _remark(contents)
        found.append(
            NotChecked(
                "baseline", f"{name} ({contents.spans} spans) was read; no detector of this version compares records"
            )
        )
    return found
