"""What is one per process start: the instance id and the logical clock. Both begin anew after a fork."""

from __future__ import annotations

import itertools
import os
import uuid

from driftline._version import VERSION

ticks = itertools.count(1)
"""Read from here at each use, like `instance`: a fork puts new ones in their place."""
instance = str(uuid.uuid4())


def tick() -> int:
    """The next number of the process-wide logical clock (atomic: one bytecode of a C counter)."""
    return next(ticks)


def instance_id() -> str:
    """`service.instance.id`: one per process start."""
    return instance


def process_resource() -> dict[str, str | int]:
    """Resource attributes that tell this process from every other."""
    import socket

    return {
        "service.instance.id": instance,
        "host.name": socket.gethostname(),
        "process.pid": os.getpid(),
        "telemetry.distro.name": "driftline",
        "telemetry.distro.version": VERSION,
    }


def _renew() -> None:
    global ticks, instance  # noqa: PLW0603 - the state of the process itself
    ticks = itertools.count(1)
    instance = str(uuid.uuid4())


def set_for_testing(known: str) -> None:
    """Make the process start over under a known id."""
    global instance  # noqa: PLW0603
    _renew()
    instance = known


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
