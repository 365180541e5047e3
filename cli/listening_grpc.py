"""The gRPC port of a server: there when grpcio is, and nobody else has the usual port."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from driftline.cli.context import PortInUse, check_port
from driftline.cli.terminal import remark
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.cli.entrance import Entrance
    from driftline.collector import Collector
    from driftline.collector.door import Door

USUAL = 4317


class GrpcNotInstalled(DriftlineError):
    """gRPC was asked for, and the library is not here."""


def chosen_port(host: str, asked: int | None) -> int:
    """The port to open; 0 for none. *asked*: None for the usual one if that is possible, which is said if it is not.

    Raises:
        GrpcNotInstalled, PortInUse: the port that was asked for cannot be opened.
    """
    if asked == 0:
        return 0
    try:
        if importlib.util.find_spec("grpc") is None:
            raise GrpcNotInstalled("OTLP/gRPC needs grpcio", "pip install 'driftline[grpc]', or send OTLP/HTTP")
        check_port(host, asked or USUAL, "--grpc-port")
    except (GrpcNotInstalled, PortInUse) as error:
        if asked is not None:
            raise
        remark(f"no OTLP/gRPC: {error}")
        return 0
    return asked or USUAL


@contextmanager
def listening_grpc(collector: Collector, door: Door, host: str, port: int, entrance: Entrance) -> Iterator[None]:
    """The receiver on *port* while the block runs; on port 0, nothing."""
    if not port:
        yield
        return
    from driftline.collector.grpc_receiver import receiving

    tls = None
    if entrance.tls_cert and entrance.tls_key:
        tls = Path(entrance.tls_cert).read_bytes(), Path(entrance.tls_key).read_bytes()
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with receiving(collector, address, door=door, tls=tls):
        yield
