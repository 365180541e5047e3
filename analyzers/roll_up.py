"""Keeps `run_parts`: what traces contribute to runs, rolled up while spans come in (migration 0011 says what for)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from driftline.collector.store import is_installed, read_sql

if TYPE_CHECKING:
    from driftline.collector.store import Store

VIEW = "rolled_up_runs"

_STEPS = "SELECT sum(rows) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'steps'"


def install_roll_up(store: Store) -> bool:
    """Put the view into *store*; one of another text is replaced, and what is stored already is rolled up anew.

    True if it changed. Call before anything is inserted. After a crash in between it is done again: the view counts as
    installed only when its table is full.
    """
    statement = read_sql(__package__ or "", f"sql/{VIEW}.sql")
    if is_installed(store, VIEW, statement):
        return False
    if store.value(_STEPS):
        store.command(f"DROP TABLE IF EXISTS {VIEW}")
        store.command("TRUNCATE TABLE run_parts")
        store.command(f"INSERT INTO run_parts {_refill(statement)}")
    return store.install_view(VIEW, statement)


def _refill(statement: str) -> str:
    """The SELECT of the view, for a table of any size: what does not fit into memory goes over the disk."""
    select = re.sub(r"(?s)^.*?\bAS\n(?=SELECT\b)", "", statement, count=1)
    return f"{select}, max_bytes_before_external_group_by = {2**30}"
