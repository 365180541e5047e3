"""What can go wrong between us and ClickHouse, named as situations."""

from __future__ import annotations

from driftline.errors import DriftlineError


class StoreInUse(DriftlineError):
    """Another process holds the embedded store: chDB locks its folder to one process."""


class StoreUnreachable(DriftlineError):
    """The ClickHouse server did not answer, or refused us."""


class StoreNotFound(DriftlineError):
    """A command that only reads was pointed at a folder that holds no store."""


class StoreFromNewerVersion(DriftlineError):
    """The store's schema was written by a newer driftline than this one."""


class BatchRefused(DriftlineError):
    """ClickHouse cannot parse this batch of requests; trying it again would not help."""
