"""`driftline check`: judge files of traces, with no server and no network."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli import exit_codes

if TYPE_CHECKING:
    from driftline.analyzers import Config, Report
    from driftline.collector.store import Store

_TABLES = ("otel_traces", "steps", "memory_ops")


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("check")(check)


def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="OTLP traces: .json, .jsonl, .pb, each also .gz; - is standard input.")],
    each: Annotated[bool, typer.Option("--each", help="Judge every file alone.")] = False,
    baseline: Annotated[list[str] | None, typer.Option("--baseline", metavar="FILE", help="Record that detectors over many runs compare with (repeatable).")] = None,
    fmt: Annotated[str, typer.Option("--format", metavar="text|json|md|sarif|junit|github", help="How to print.")] = "text",
    config: Annotated[str | None, typer.Option("--config", metavar="FILE", help="Settings; default: driftline.toml here.")] = None,
    catalog: Annotated[str | None, typer.Option("--catalog", metavar="FILE", help="Tool catalogue.")] = None,
    skew: Annotated[str | None, typer.Option("--skew", metavar="auto|DURATION", help="Bound between clocks of different hosts.")] = None,
) -> int:  # fmt: skip
    """Judge files of traces. Exits 0 clean, 1 findings, 2 usage or input error, 3 internal error, 5 nothing to check."""
    from driftline.cli.formats import FORMATS
    from driftline.cli.settings import config_from

    if fmt not in FORMATS:
        raise typer.BadParameter(f"{fmt!r} is not one of {', '.join(FORMATS)}", param_hint="--format")
    settings = config_from(config, catalog, skew)
    for name in baseline or []:
        _load_baseline(name)
    with _scratch_store() as store:
        if each:
            return _check_each(store, files, fmt, settings)
        report = _judge(store, files, settings)
        typer.echo(_render(report, fmt), nl=False)
        return exit_codes.exit_code(report)


def _judge(store: Store, files: list[str], settings: Config) -> Report:
    """Load all *files* as one record and judge it."""
    from driftline.analyzers import analyse
    from driftline.cli.input import framed_requests

    for name in files:
        data, spans, rejected = framed_requests(name)
        if rejected:
            typer.echo(f"driftline: {name}: {rejected} spans without a valid trace or span id were left out", err=True)
        if spans:
            store.insert_requests(data, hashlib.sha256(data).hexdigest())
    return analyse(store, config=settings)


def _check_each(store: Store, files: list[str], fmt: str, settings: Config) -> int:
    worst = exit_codes.CLEAN
    codes = []
    for name in files:
        for table in _TABLES:
            store.command(f"TRUNCATE TABLE {table}")
        report = _judge(store, [name], settings)
        if fmt == "json":
            from driftline.cli.formats.json_ import document

            typer.echo(json.dumps({"file": name, **document(report)}, ensure_ascii=False))
        else:
            typer.echo(f"== {name}")
            typer.echo(_render(report, fmt), nl=False)
        codes.append(exit_codes.exit_code(report))
    if exit_codes.FINDINGS in codes:
        worst = exit_codes.FINDINGS
    elif codes and all(code == exit_codes.NOTHING_TO_CHECK for code in codes):
        worst = exit_codes.NOTHING_TO_CHECK
    return worst


def _load_baseline(name: str) -> None:
    """Read a baseline so that a bad file is an error now; no detector of this version compares records."""
    from driftline.cli.input import read_requests

    for _ in read_requests(name):
        pass


def _render(report: Report, fmt: str) -> str:
    from driftline.cli.formats import render
    from driftline.cli.terminal import render_text

    text = render_text(report) if fmt == "text" else render(report, fmt)
    return text if text.endswith("\n") or not text else text + "\n"


@contextmanager
def _scratch_store() -> Iterator[Store]:
    from driftline.analyzers import install_views
    from driftline.collector.store import open_store

    with tempfile.TemporaryDirectory(prefix="driftline-check-", ignore_cleanup_errors=True) as folder:
        store = open_store(folder)
        try:
            install_views(store)
            yield store
        finally:
            store.close()
    sys.stdout.flush()
