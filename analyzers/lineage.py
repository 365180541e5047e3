"""The versions of one key and how they descend from each other.

`u << v`: u is a strict ancestor of v by recorded parents, or the store's own ordinals say that u came first. Content
digests order nothing: content that returns to what it was has the digest it had. `init` lies below every version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.memory_history import INIT, KEY

if TYPE_CHECKING:
    from driftline.analyzers.memory_history import MemoryHistory

# How many newer versions are looked at behind one: enough for any explanation, and a bound on storms.
_MOST = 256

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Write:
    """A write or delete that produced a version; *alone*: no independent write claims the same version."""

    row: int
    version: str
    parents: tuple[str, ...]
    blind: bool
    status: str
    tombstone: bool
    native: bool
    alone: bool

    @property
    def committed(self) -> bool:
        """Whether the write is known to stand."""
        return self.status == "committed"


@dataclass
class Lineage:
    """All recorded versions of one key of one store; *ordinals*: the store's own order, where it is known."""

    store: str
    key: str
    writes: list[Write] = field(default_factory=list)
    ordinals: dict[str, int] = field(default_factory=dict)

    def producers(self, version: str) -> list[Write]:
        """The writes that produced *version*."""
        return self._by_version.get(version, [])

    def unique(self, version: str) -> bool:
        """Whether no two independent writes claim *version*."""
        return all(write.alone for write in self.producers(version))

    def newer(self, version: str) -> dict[str, None]:
        """The versions strictly newer than *version*, nearest first; the nearest 256 of them at most."""
        if version == INIT:
            return dict.fromkeys(list(self._by_version)[:_MOST])
        found: dict[str, None] = {}
        # Ordinals and parents may still disagree further up; recorded parents then win.
        older = self._ancestors(version) if self._orders else set()
        fresh, lowest = [version], None
        while fresh and len(found) < _MOST:
            following = [child for at in fresh for child in self._children.get(at, ())]
            reached = min((self._orders[at] for at in fresh if at in self._orders), default=None)
            if reached is not None and (lowest is None or reached < lowest):
                lowest = reached
                following += sorted((v for v, at in self._orders.items() if at > reached), key=self._orders.__getitem__)
            fresh = [v for v in dict.fromkeys(following) if v not in found and v != version and v not in older]
            found.update(dict.fromkeys(fresh))
        return found

    def precedes(self, old: str, new: str) -> bool:
        """Whether `old << new`; false where the record does not say."""
        return old != new and new in self.newer(old)

    def distance(self, old: str, new: str) -> int:
        """How many versions *old* lies behind *new* (k-staleness), counting recorded versions between them."""
        return sum(self.precedes(between, new) for between in self.newer(old)) + 1

    @property
    def tangled(self) -> bool:
        """Whether some version is its own ancestor by recorded parents: then nothing of the key can be ordered."""
        return len(self.ordered) < len(self._by_version)

    @cached_property
    def ordered(self) -> tuple[str, ...]:
        """All versions, ancestors first (those of a cycle are left out)."""
        known = self._by_version
        waiting = {
            version: len({parent for write in writes for parent in write.parents if parent in known})
            for version, writes in known.items()
        }
        ready = [version for version, count in waiting.items() if not count]
        for version in ready:
            for child in self._children.get(version, ()):
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
        if all(version in self._orders for version in ready):
            ready.sort(key=self._orders.__getitem__)
        return tuple(ready)

    def _ancestors(self, version: str) -> set[str]:
        found: set[str] = set()
        fresh = [version]
        while fresh:
            for write in self.producers(fresh.pop()):
                fresh += [parent for parent in write.parents if parent not in found]
                found.update(write.parents)
        return found

    @cached_property
    def _by_version(self) -> dict[str, list[Write]]:
        found: dict[str, list[Write]] = {}
        for write in self.writes:
            found.setdefault(write.version, []).append(write)
        return found

    @cached_property
    def _children(self) -> dict[str, dict[str, None]]:
        found: dict[str, dict[str, None]] = {}
        for write in self.writes:
            for parent in write.parents:
                found.setdefault(parent, {})[write.version] = None
        return found

    @cached_property
    def _orders(self) -> dict[str, int]:
        """The ordinals, if no version has a lower one than a version it was derived from."""
        disagree = any(
            self.ordinals.get(parent, -1) >= self.ordinals[write.version]
            for write in self.writes
            if write.version in self.ordinals
            for parent in write.parents
        )
        return {} if disagree else self.ordinals


def lineages(history: MemoryHistory, keys: Iterable[Key]) -> dict[Key, Lineage]:
    """The lineages of some keys (store, key, world) of a history."""
    wanted = pl.DataFrame(list(keys), schema=dict.fromkeys(KEY, pl.String), orient="row").unique(maintain_order=True)
    found: dict[Key, Lineage] = {(store, key, world): Lineage(store, key) for store, key, world in wanted.iter_rows()}
    columns = (*KEY, "row", "version", "parents", "blind", "write_status", "op", "native", "single", "linked")
    writes = history.writes.join(wanted, on=KEY, how="semi", maintain_order="left").select(columns)
    for store, key, world, row, version, parents, blind, status, op, native, single, linked in writes.iter_rows():
        found[store, key, world].writes.append(
            Write(row, version, tuple(parents), blind, status, op == "delete", native, single or linked)
        )
    placed = (
        history.ops.filter(pl.col("ordinal").is_not_null() & (pl.col("version") != ""))
        .join(wanted, on=KEY, how="semi")
        .group_by(*KEY, "version")
        .agg(pl.col("ordinal").min(), agreed=pl.col("ordinal").n_unique() == 1)
        .filter("agreed")
        .sort(*KEY, "version")
    )
    for store, key, world, version, ordinal in placed.select(*KEY, "version", "ordinal").iter_rows():
        found[store, key, world].ordinals[version] = ordinal
    return found
