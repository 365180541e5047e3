"""The versions of one key and how they descend from each other.

`u << v`: u is a strict ancestor of v by recorded parents, or the store's own ordinals say that u came first. Content
digests order nothing: content that returns to what it was has the digest it had. `init` lies below every version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

INIT = "init"


@dataclass(frozen=True)
class Write:
    """A write or delete that produced a version."""

    row: int
    version: str
    parents: tuple[str, ...]
    blind: bool
    status: str
    ordinal: int | None
    tombstone: bool
    native: bool


@dataclass
class Lineage:
    """All recorded versions of one key of one store."""

    store: str
    key: str
    writes: list[Write] = field(default_factory=list)
    _above: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)

    def producers(self, version: str) -> list[Write]:
        """The writes that produced *version*; more than one only if the store or the program is at fault."""
        return [write for write in self.writes if write.version == version]

    def newer(self, version: str) -> list[Write]:
        """The writes whose version is strictly newer than *version*, in order of recording."""
        return [write for write in self.writes if write.version != version and self.precedes(version, write.version)]

    def precedes(self, old: str, new: str) -> bool:
        """Whether `old << new`; false where the record does not say, or says both."""
        if old == new or new in ("", INIT) or old == "":
            return False
        if old == INIT:
            return bool(self.producers(new))
        descends, inverse = old in self.ancestors(new), new in self.ancestors(old)
        if descends or inverse:
            return descends and not inverse
        first, second = self._ordinal(old), self._ordinal(new)
        return first is not None and second is not None and first < second

    def ancestors(self, version: str) -> frozenset[str]:
        """All strict ancestors of *version* by recorded parents."""
        if version not in self._above:
            found: set[str] = set()
            fresh = [version]
            while fresh:
                for write in self.producers(fresh.pop()):
                    for parent in write.parents:
                        if parent not in found:
                            found.add(parent)
                            fresh.append(parent)
            self._above[version] = frozenset(found)
        return self._above[version]

    def distance(self, old: str, new: str) -> int:
        """How many versions *old* lies behind *new* (k-staleness), counting recorded versions between them."""
        between = {w.version for w in self.writes if self.precedes(old, w.version) and self.precedes(w.version, new)}
        return len(between) + 1

    def ordered(self) -> list[str]:
        """All versions, ancestors first."""
        versions = list(dict.fromkeys(write.version for write in self.writes))
        return sorted(versions, key=lambda version: (len(self.ancestors(version)), versions.index(version)))

    def _ordinal(self, version: str) -> int | None:
        known = {write.ordinal for write in self.producers(version) if write.ordinal is not None}
        return known.pop() if len(known) == 1 else None


def lineages(memory: pl.DataFrame, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Lineage]:
    """The lineages of some (store, key) of a record's memory operations."""
    wanted = pl.DataFrame(list(keys), schema={"store": pl.String, "key": pl.String}, orient="row").unique()
    writes = memory.filter(
        pl.col("op").is_in(["write", "delete"])
        & (pl.col("version") != "")
        & ~pl.col("version_kind").is_in(["digest", "none"])
    ).join(wanted, on=["store", "key"], how="semi")
    found: dict[tuple[str, str], Lineage] = {}
    columns = ("store", "key", "row", "version", "parents", "blind", "write_status", "ordinal", "op", "version_kind")
    for store, key, row, version, parents, blind, status, ordinal, op, kind in writes.select(columns).iter_rows():
        lineage = found.setdefault((store, key), Lineage(store, key))
        lineage.writes.append(
            Write(row, version, tuple(parents), blind, status, ordinal, op == "delete", kind == "native")
        )
    return found
