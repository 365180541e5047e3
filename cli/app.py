"""The command tree. Commands import what is heavy inside themselves, so `--help` stays quick."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules

import typer
from typer.main import get_command

from driftline.cli import commands, exit_codes
from driftline.cli.terminal import silence

# The order of `driftline --help`: from the first minute to the daily use. What is not named here comes last.
_ORDER = (
    "up", "demo", "check", "report", "import_", "runs", "show", "findings", "keys", "projects", "dead_letters",
    "doctor",
)  # fmt: skip

# Newer typers bring their own copy of click, older ones import it: what typer re-exports leads to the right classes.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def create_app() -> typer.Typer:
    """The app with every command module under `cli/commands`."""
    app = typer.Typer(
        name="driftline",
        help="Shows where the agents of a multi-agent system stop acting as one, before anything crashes.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    names = {module.name for module in iter_modules(commands.__path__)}
    for name in (*(name for name in _ORDER if name in names), *sorted(names.difference(_ORDER))):
        module = import_module(f"{commands.__name__}.{name}")
        if hasattr(module, "register"):
            module.register(app)
        else:
            app.add_typer(module.app, name=name.rstrip("_").replace("_", "-"))
    return app


def run(arguments: list[str]) -> int:
    """Run one command line; its exit code. Wrong usage is explained on standard error."""
    command = get_command(create_app())
    try:
        result = command.main(arguments, prog_name="driftline", standalone_mode=False)
    except typer.Exit as end:
        return int(end.exit_code)
    except typer.Abort:
        return exit_codes.INTERRUPTED
    except SystemExit:
        # typer's way to say that the reader of a help page has gone.
        silence()
        return exit_codes.CLEAN
    except _CLICK_ERROR as error:
        return _explain(error)
    return result if isinstance(result, int) else exit_codes.CLEAN


def _explain(error: BaseException) -> int:
    message = error.format_message()  # type: ignore[attr-defined]
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message)
        return exit_codes.USAGE
    context = getattr(error, "ctx", None)
    typer.echo(f"driftline: {message}{_suggestion(message, context)}", err=True)
    where = context.command_path if context is not None and isinstance(error, _USAGE_ERROR) else "driftline"
    typer.echo(f"  see `{where} --help`", err=True)
    return exit_codes.USAGE


def _suggestion(message: str, context: typer.Context | None) -> str:
    """A command near the one that was meant, where click (its newer versions do) has not named one itself."""
    names = getattr(context.command, "commands", None) if context is not None else None
    if not names or "No such command" not in message or "Did you mean" in message:
        return ""
    near = get_close_matches(message.split("'")[1], list(names), 1)
    return f" Did you mean {near[0]!r}?" if near else ""
