"""The `driftline` command."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
import traceback
from pathlib import Path

from driftline.cli import exit_codes
from driftline.cli.interrupts import caused_by_interrupt, heeded
from driftline.errors import DriftlineError

_EXTRA = "the driftline command needs the server extra: pip install 'driftline[server]'"


def main() -> int:
    """Run the command line; its exit code (see exit_codes)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us (`>&-`)
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for as long as we run
    code = _guarded()
    if "driftline.collector.store" in sys.modules:
        from driftline.collector.store.at_work import leave_at_once

        leave_at_once(code)
    return code


def _guarded() -> int:
    """Run the command line; nothing gets past."""
    try:
        with heeded():
            return _run()
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last line of defence
        return exit_codes.INTERRUPTED if caused_by_interrupt(error) else _failed(error)


def _failed(error: Exception) -> int:
    """Say what went wrong: briefly, and what can be done about it."""
    if isinstance(error, DriftlineError):
        sys.stderr.write(f"driftline: {error.what}\n")
        if error.todo:
            sys.stderr.write(f"  {error.todo}\n")
        return exit_codes.USAGE
    if isinstance(error, ImportError):
        sys.stderr.write(f"driftline: {error}\n  {_EXTRA}\n")
        return exit_codes.USAGE
    return _no_space(error) if _is_no_space(error) else _internal(error)


def _run() -> int:
    from driftline.cli.app import run

    # What stdout's encoding cannot say is written as an escape: a name in a trace must not end the report.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return run(sys.argv[1:])


def _is_no_space(error: Exception) -> bool:
    """Whether a disk is full: the output's, the store's, or that of the temporary files."""
    return getattr(error, "errno", None) == errno.ENOSPC or "NOT_ENOUGH_SPACE" in str(error)


def _no_space(error: Exception) -> int:
    from driftline.cli.terminal import silence

    silence()  # what waits to be printed would fail once more at exit
    sys.stderr.write(
        f"driftline: no space is left: {str(error).splitlines()[0]}\n"
        "  free some, or choose another place: for the output, with --data, or with TMPDIR for temporary files\n"
    )
    return exit_codes.USAGE


def _internal(error: Exception) -> int:
    name = "" if os.environ.get("DRIFTLINE_DEBUG") else _kept(traceback.format_exc())
    if not name:
        traceback.print_exc()
    else:
        first = (str(error).splitlines() or [""])[0]
        sys.stderr.write(f"driftline: internal error: {type(error).__name__}: {first}\n  details: {name}\n")
    return exit_codes.INTERNAL


def _kept(details: str) -> str:
    """The file *details* were written to; '' where none can be."""
    try:
        handle, name = tempfile.mkstemp(prefix="driftline-error-", suffix=".txt")
        os.close(handle)
        Path(name).write_text(details, encoding="utf-8")
    except OSError:
        return ""
    return name
