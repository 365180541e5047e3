"""The `driftline` command."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from pathlib import Path

from driftline.cli import exit_codes
from driftline.cli.interrupts import heeded
from driftline.errors import DriftlineError

_EXTRA = "the driftline command needs the server extra: pip install 'driftline[server]'"


def main() -> int:
    """Run the command line; its exit code (see exit_codes)."""
    try:
        with heeded():
            return _run()
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except DriftlineError as error:
        sys.stderr.write(f"driftline: {error.what}\n")
        if error.todo:
            sys.stderr.write(f"  {error.todo}\n")
        return exit_codes.USAGE
    except ImportError as error:
        sys.stderr.write(f"driftline: {error}\n  {_EXTRA}\n")
        return exit_codes.USAGE
    except Exception as error:  # noqa: BLE001 - the last line of defence: say it briefly, keep the details
        return _internal(error)


def _run() -> int:
    from driftline.cli.app import run

    # What stdout's encoding cannot say is written as an escape: a name in a trace must not end the report.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return run(sys.argv[1:])


def _internal(error: Exception) -> int:
    if os.environ.get("DRIFTLINE_DEBUG"):
        traceback.print_exc()
    else:
        handle, name = tempfile.mkstemp(prefix="driftline-error-", suffix=".txt")
        os.close(handle)
        Path(name).write_text(traceback.format_exc(), encoding="utf-8")
        first = (str(error).splitlines() or [""])[0]
        sys.stderr.write(f"driftline: internal error: {type(error).__name__}: {first}\n  details: {name}\n")
    return exit_codes.INTERNAL
