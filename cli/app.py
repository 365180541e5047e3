"""The command tree. Commands import what is heavy inside themselves, so `--help` stays quick."""

from __future__ import annotations

from difflib import get_close_matches

import click
import typer
from typer.main import get_command

from driftline.cli import exit_codes
from driftline.cli.commands import check, demo, doctor, findings, import_, report, runs, show, up, version

app = typer.Typer(
    name="driftline",
    help="Shows where the agents of a multi-agent system stop acting as one, before anything crashes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (up, demo, check, report, runs, show, findings, doctor, version):
    command.register(app)
app.add_typer(import_.app, name="import")


def run(arguments: list[str]) -> int:
    """Run one command line; its exit code. Wrong usage is explained on standard error."""
    command = get_command(app)
    try:
        result = command.main(arguments, prog_name="driftline", standalone_mode=False)
    except click.exceptions.Exit as end:
        return int(end.exit_code)
    except click.exceptions.Abort:
        return exit_codes.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        typer.echo(error.format_message())
        return exit_codes.USAGE
    except click.exceptions.ClickException as error:
        typer.echo(f"driftline: {error.format_message()}{_suggestion(error)}", err=True)
        where = error.ctx.command_path if isinstance(error, click.exceptions.UsageError) and error.ctx else "driftline"
        typer.echo(f"  see `{where} --help`", err=True)
        return exit_codes.USAGE
    return int(result) if isinstance(result, int) else exit_codes.CLEAN


def _suggestion(error: click.exceptions.ClickException) -> str:
    if isinstance(error, click.exceptions.NoSuchOption):
        return ""  # click names the near ones itself
    context = getattr(error, "ctx", None)
    if context is not None and isinstance(context.command, click.Group) and "No such command" in error.format_message():
        wanted = error.format_message().split("'")[1]
        near = get_close_matches(wanted, context.command.list_commands(context), 1)
        return f" Did you mean {near[0]!r}?" if near else ""
    return ""
