"""`driftline doctor`: what is wrong here, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import typer

from driftline.cli import exit_codes
from driftline.cli.checkup import Observation
from driftline.cli.context import DEFAULT_DATA, DataOption, folder_of, is_url, running_server
from driftline.cli.options import ListFormat, expect_list_format
from driftline.cli.terminal import write

_MARKS = {"ok": "ok  ", "note": "note", "bad": "BAD "}


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("doctor")(doctor)


def doctor(data: DataOption = DEFAULT_DATA, fmt: ListFormat = "text") -> int:
    """Look at the installation, the settings here, the data folder, its server and store, and the ports. Exits 1 if
    something is broken.
    """
    expect_list_format(fmt)
    found = list(_observations(data))
    if fmt == "json":
        from driftline.cli.tables import print_json

        print_json([asdict(entry) for entry in found])
    else:
        lines = []
        for entry in found:
            lines.append(f"{_MARKS[entry.state]}  {entry.what}")
            if entry.mend:
                lines.append(f"      mend: {entry.mend}")
        write("\n".join(lines))
    return exit_codes.FINDINGS if any(entry.state == "bad" for entry in found) else exit_codes.CLEAN


def _observations(data: str) -> Iterator[Observation]:
    from driftline.cli.checkup import folder, installation, server, store

    yield from installation.look()
    if not is_url(data):
        place, running = folder_of(data), running_server(data)
        if running:
            yield from server.look(running, place)
        else:
            yield Observation("note", f"no server runs on {place}", "start one with `driftline up`")
            yield from folder.look_at_ports()
        yield from folder.look(place)
    yield from store.look(data)
