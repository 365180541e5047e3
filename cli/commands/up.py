"""`driftline up`: collector, analysis and web pages in one process."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Annotated

import typer

from driftline.cli import exit_codes
from driftline.cli.context import DEFAULT_DATA, ClickHouseOption, DataOption, folder_of, log_files
from driftline.cli.entrance import Entrance
from driftline.cli.options import CatalogFile, ConfigFile, ListFormat, Skew, expect_list_format
from driftline.cli.terminal import remark, write


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("up")(up)


def up(
    data: DataOption = DEFAULT_DATA,
    clickhouse: ClickHouseOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    otlp_port: Annotated[int, typer.Option(help="OTLP/HTTP receiver.", min=1, max=65535)] = 4318,
    grpc_port: Annotated[
        int | None, typer.Option(help="OTLP/gRPC receiver; 4317 if it is free, 0 for none.", min=0, max=65535)
    ] = None,
    web_port: Annotated[int, typer.Option(help="Web pages.", min=1, max=65535)] = 8318,
    clickhouse_port: Annotated[int, typer.Option(help="Read-only ClickHouse HTTP interface.", min=1, max=65535)] = 8123,
    config: ConfigFile = None,
    catalog: CatalogFile = None,
    skew: Skew = None,
    require_keys: Annotated[
        bool,
        typer.Option(
            "--require-keys",
            envvar="DRIFTLINE_REQUIRE_KEYS",
            show_default=False,
            help="Want a key of this machine's own programs, too.",
        ),
    ] = False,
    behind_proxy: Annotated[
        bool,
        typer.Option(
            "--behind-proxy",
            envvar="DRIFTLINE_BEHIND_PROXY",
            show_default=False,
            help="A proxy stands in front: everybody needs a key, and its X-Forwarded-Proto is believed.",
        ),
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="Another name of this machine that requests may use."),
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option(envvar="DRIFTLINE_TLS_CERT", metavar="FILE", help="Certificate with its chain, PEM.")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(envvar="DRIFTLINE_TLS_KEY", metavar="FILE", help="Key of the certificate, PEM.")
    ] = None,
    fmt: ListFormat = "text",
) -> None:
    """Receive spans, judge runs as they end, and show them.

    Ctrl-C ends it when what was acknowledged is stored; pressed once more, at once: the log keeps the rest. With
    `--format json` the first line of output is one object with the addresses.
    """
    from driftline.cli.serving import serving
    from driftline.cli.settings import config_from

    expect_list_format(fmt)
    stop = _told_to_stop()
    entrance = Entrance(require_keys, behind_proxy, tuple(allow_host or ()), tls_cert, tls_key)
    ports = (otlp_port, web_port, clickhouse_port)
    settings = config_from(config, catalog, skew)
    with serving(data, host, *ports, settings, entrance, clickhouse, grpc_port) as running:
        server, folder = running.server, str(folder_of(data))
        if fmt == "json":
            write(json.dumps({**server.addresses(), "data": folder}))
        else:
            how = "the spans are kept there" if server.store else "read-only"
            grpc = f"OTLP/gRPC   {server.otlp_grpc}\n" if server.otlp_grpc else ""
            write(
                f"pages       {server.web}\nOTLP/HTTP   {server.otlp}\n{grpc}"
                f"ClickHouse  {server.clickhouse} ({how})\ndata        {folder}"
            )
        while not stop.wait(0.5):
            pass
        remark("stopping: storing what was acknowledged (once more ends it at once)")
    waiting = sum(path.stat().st_size for path in log_files(folder_of(data)))
    if waiting:
        remark(f"{waiting / 2**20:,.1f} MiB wait in the log: the next start stores them")


def _told_to_stop() -> threading.Event:
    """Set by Ctrl-C or SIGTERM. A second one ends the process there and then: what was acknowledged is on disk."""
    stop = threading.Event()

    def told(*_: object) -> None:
        if stop.is_set():
            os.write(2, b"driftline: ended at once; the next start stores what is in the log\n")
            os._exit(exit_codes.INTERRUPTED)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told)
    return stop
