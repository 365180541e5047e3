"""The versions of one key and how they descend from each other.

`u << v`: u is a strict ancestor of v by recorded parents, or the store's own ordinals say that u came first. Content
digests order nothing: content that returns to what it was has the digest it had. `init` lies below every version.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.memory_history import INIT, KEY

if TYPE_CHECKING:
    from driftline.analyzers.memory_history import MemoryHistory

# How many newer versions are looked at behind one: enough for any explanation, and a bound on storms.
MOST = 256

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

    @cached_property
    def native(self) -> bool:
        """Whether every version id of the key is the store's own; only then their descent is proved."""
        return all(write.native for write in self.writes)

    @cached_property
    def doubled(self) -> str:
        """A version that two independent writes claim; '' = none. One is enough to doubt the ids of the key."""
        return next((write.version for write in self.writes if not write.alone), "")

    def newer(self, version: str) -> dict[str, None]:
        """The versions strictly newer than *version*, nearest first; the nearest 256 of them at most."""
        if version == INIT:
            return dict.fromkeys(islice(self._by_version, MOST))
        found: dict[str, None] = {}
        fresh, lowest = [version], None
        while fresh and len(found) < MOST:
            following = [child for at in fresh for child in self._children.get(at, ())]
            reached = min((self._orders[at] for at in fresh if at in self._orders), default=None)
            if reached is not None and (lowest is None or reached < lowest):
                lowest = reached
                ordinals, versions = self._ranked
                above = bisect_right(ordinals, reached)
                following += versions[above : above + MOST]
            fresh = [v for v in dict.fromkeys(following) if v not in found and v != version]
            found.update(dict.fromkeys(fresh[: MOST - len(found)]))
        return found

    def precedes(self, old: str, new: str) -> bool:
        """Whether `old << new`; false where the record does not say."""
        return old != new and new in self.newer(old)

    def descends(self, old: str, new: str) -> bool:
        """Whether recorded parents alone lead from *new* back to *old*; store ordinals are not asked."""
        fresh, seen = [new], {new}
        while fresh and len(seen) <= MOST:
            above = {parent for write in self.producers(fresh.pop()) for parent in write.parents} - seen
            if old in above:
                return True
            seen |= above
            fresh += above
        return False

    def distance(self, old: str, new: str) -> int:
        """How many versions *old* lies behind *new* (k-staleness), counting recorded versions between them."""
        after = self.newer(old)
        between, fresh = {new}, [new]
        while fresh:
            at = fresh.pop()
            order = self._orders.get(at)
            lower = {parent for write in self.producers(at) for parent in write.parents}
            if order is not None and at == new:
                lower |= {version for version in after if self._orders.get(version, order) < order}
            lower = (lower & after.keys()) - between
            between |= lower
            fresh += lower
        return len(between)

    @property
    def tangled(self) -> bool:
        """Whether some version is its own ancestor by recorded parents: then nothing of the key can be ordered."""
        return len(self._descent) < len(self._by_version)

    @cached_property
    def ordered(self) -> tuple[str, ...]:
        """All versions, ancestors first (those of a cycle are left out)."""
        if all(version in self._orders for version in self._descent):
            return tuple(sorted(self._descent, key=self._orders.__getitem__))
        return tuple(self._descent)

    @cached_property
    def _descent(self) -> list[str]:
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
        return ready

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
        """The ordinals, if they are one counter: no two versions share one, none is below what it descends from."""
        if len(set(self.ordinals.values())) < len(self.ordinals) or self.tangled:
            return {}
        highest = dict(self.ordinals)
        for version in self._descent if self.ordinals else ():
            parents = {parent for write in self.producers(version) for parent in write.parents}
            above = max((highest[parent] for parent in parents if parent in highest), default=None)
            if above is None:
                continue
            if above >= self.ordinals.get(version, above + 1):
                return {}
            highest[version] = max(above, highest.get(version, above))
        return self.ordinals

    @cached_property
    def _ranked(self) -> tuple[list[int], list[str]]:
        versions = sorted(self._orders, key=self._orders.__getitem__)
        return [self._orders[version] for version in versions], versions


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
