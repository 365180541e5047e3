"""Shared memory: who read and wrote which version of what.

with memory.read("notes", "plan") as read:
    record = store.get("plan")
    read.observed(record.version)
with memory.write("notes", "plan", parents=[record.version]) as write:
    write.wrote(store.put("plan", text))
with driftline.tool("publish", effect="write", used=[read.ref]): …
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.trace import SpanKind

from driftline import attributes as at
from driftline._guard import guarded
from driftline._handles import Handle
from driftline._operation import Operation
from driftline._payload import elements, safe_digest, text_of

INIT = "init"
KINDS = ("native", "digest", "time", "none")


class MemoryHandle(Handle):
    """A read, write or delete of keys of one store."""

    def __init__(self, operation: Operation[Any]) -> None:
        super().__init__(operation)
        said = operation.attributes
        keys: list[str] = list(said.get(at.MEMORY_KEYS) or ())
        versions: list[str] = list(said.get(at.MEMORY_VERSIONS) or ())
        self._store = said.get(at.MEMORY_STORE, "")
        self._versions = dict(zip(keys, [*versions, *[""] * (len(keys) - len(versions))], strict=True))
        self._digests: dict[str, str] = {}
        self._ordinals: dict[str, int] = {}

    @property
    def refs(self) -> list[str]:
        """References STORE/KEY@VERSION of every key, for `used=`; one whose version is unknown ends in @."""
        return [f"{self._store}/{key}@{version}" for key, version in self._versions.items()]

    @property
    def ref(self) -> str:
        """The reference of the first key; '' if there is none."""
        return next(iter(self.refs), "")

    @property
    def version(self) -> str:
        """The version of the first key, for `parents=`; '' if it is unknown."""
        return next(iter(self._versions.values()), "")

    def observed(
        self,
        version: str | Mapping[str, str | None] | None,
        *,
        kind: str = "native",
        ordinal: int | Mapping[str, int] | None = None,
    ) -> None:
        """The version that was found (of each key, by name); None means that nothing was there yet.

        Args:
            version: as the store names it.
            kind: `native` (the store's own, unique), `digest` (of the content), `time`, or `none`.
            ordinal: the store's own counter, where it has one.
        """
        with guarded("noting versions"):
            found = self._by_key(version)
            self._versions.update({key: INIT if said is None else text_of(said) for key, said in found.items()})
            if ordinal is not None:
                self._ordinals.update(self._by_key(ordinal))
            self.set(at.MEMORY_KEYS, list(self._versions))
            self.set(at.MEMORY_VERSIONS, list(self._versions.values()))
            self._word(at.MEMORY_VERSION_KIND, kind, KINDS)
            if self._versions and self._ordinals.keys() >= self._versions.keys():
                self.set(at.MEMORY_ORDINALS, [int(self._ordinals[key]) for key in self._versions])
            self._say_digests()

    def wrote(self, version: str, *, ordinal: int | None = None, kind: str = "native") -> None:
        """The version that came to be; *ordinal*: the store's own counter, where it has one."""
        self.observed(version, kind=kind, ordinal=ordinal)

    def parents(self, *versions: str | None) -> None:
        """The versions this write was derived from; None stands for "nothing was there"."""
        with guarded("noting parents"):
            self.set(at.MEMORY_PARENTS, _parents(versions))

    def content(self, value: Any, *, key: str | None = None) -> None:
        """The content of *key* (by default the first), as a digest; it tells equal contents, it orders nothing."""
        with guarded("noting content"):
            said = safe_digest(value)
            name = key if key is not None else next(iter(self._versions), "")
            if said is not None and name:
                self._digests[name] = said
                self._versions.setdefault(name, "")
                self._say_digests()

    def rolled_back(self) -> None:
        """The write was undone."""
        self.set(at.MEMORY_STATUS, "rolled_back")

    def committed(self) -> None:
        """The write stands."""
        self.set(at.MEMORY_STATUS, "committed")

    def unknown(self) -> None:
        """Whether the write stands cannot be told."""
        self.set(at.MEMORY_STATUS, "unknown")

    def _by_key(self, said: Any) -> dict[str, Any]:
        """What was *said* of each key; of a lone value, it is of the first."""
        if isinstance(said, Mapping):
            return {text_of(key): value for key, value in said.items()}
        if not self._versions:
            raise ValueError(f"{said!r} of no key: name the keys, as a mapping from key to version")
        return {next(iter(self._versions)): said}

    def _say_digests(self) -> None:
        if self._digests:
            self.set(at.MEMORY_DIGESTS, [self._digests.get(key, "") for key in self._versions])


class _Memory(Operation[MemoryHandle]):
    handle_type = MemoryHandle
    kind = SpanKind.CLIENT


def read(store: str, keys: str | Iterable[str], *, version: str | None = None) -> Operation[MemoryHandle]:
    """A read of one or more keys; *version*, if it is known before, is of the first."""
    return _operation("read_memory", store, keys, version)


def search(store: str, keys: str | Iterable[str] = (), *, watermark: str | None = None) -> Operation[MemoryHandle]:
    """A search; say with `observed` which records it returned. *watermark*: the index position it ran at."""
    said = None if watermark is None else text_of(watermark)
    return _operation("search_memory", store, keys, None, {at.MEMORY_WATERMARK: said})


def write(
    store: str,
    key: str,
    *,
    parents: Iterable[str | None] | None = None,
    version: str | None = None,
    operation: str | None = None,
    epoch: int | None = None,
) -> Operation[MemoryHandle]:
    """A write of one key.

    Args:
        store: which memory.
        key: which record in it.
        parents: the versions it was derived from, None for "nothing was there"; left out, it is a blind write.
        version: the version that comes to be, if it is known before.
        operation: `create_memory`, `update_memory` or `upsert_memory`; by default it follows from *parents*.
        epoch: lease or fencing number of the writer.
    """
    derived = None if parents is None else _parents(elements(parents))
    word = operation or ("create_memory" if derived == [INIT] else "update_memory")
    return _operation(word, store, key, version, {at.MEMORY_PARENTS: derived, at.MEMORY_EPOCH: epoch})


def delete(
    store: str,
    key: str,
    *,
    parents: Iterable[str | None] | None = None,
    version: str | None = None,
    epoch: int | None = None,
) -> Operation[MemoryHandle]:
    """A delete; it produces a version too, the tombstone."""
    return write(store, key, parents=parents, version=version, operation="delete_memory", epoch=epoch)


def _parents(versions: Iterable[str | None]) -> list[str] | None:
    """Parents as the wire has them. One unknown ('') makes all of them unknown: half a lineage is a wrong one."""
    found = [INIT if version is None else text_of(version) for version in versions]
    return found if found and "" not in found else None


def _operation(
    word: str, store: str, keys: str | Iterable[str], version: str | None, more: dict[str, Any] | None = None
) -> Operation[MemoryHandle]:
    names = list(dict.fromkeys(map(text_of, elements(keys))))
    known = version is not None and bool(names)
    attributes = {
        at.OPERATION: word,
        at.MEMORY_STORE: store,
        at.MEMORY_KEYS: names,
        at.MEMORY_VERSIONS: [text_of(version), *[""] * (len(names) - 1)] if known else None,
        at.MEMORY_VERSION_KIND: "native" if known else None,
        **(more or {}),
    }
    return _Memory(f"{word} {store}", attributes)
