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
from driftline._operation import Handle, Operation
from driftline.canonical import digest

INIT = "init"


class MemoryHandle(Handle):
    """A read, write or delete of keys of one store."""

    def __init__(self, operation: Operation[Any]) -> None:
        super().__init__(operation)
        self._versions: dict[str, str] = dict(
            zip(operation.attributes[at.MEMORY_KEYS], _said_versions(operation), strict=False)
        )

    @property
    def refs(self) -> list[str]:
        """References STORE/KEY@VERSION of every key, for `used=`."""
        store = self._operation.attributes[at.MEMORY_STORE]
        return [f"{store}/{key}@{version}" for key, version in self._versions.items()]

    @property
    def ref(self) -> str:
        """The reference of the first key."""
        return self.refs[0]

    def observed(self, version: str | Mapping[str, str] | None, *, kind: str = "native") -> None:
        """The version that was found (of each key, by name); None means that nothing was there yet."""
        found = version if isinstance(version, Mapping) else {next(iter(self._versions)): version}
        self._versions.update({key: INIT if value is None else str(value) for key, value in found.items()})
        self.set(at.MEMORY_KEYS, list(self._versions))
        self.set(at.MEMORY_VERSIONS, list(self._versions.values()))
        self.set(at.MEMORY_VERSION_KIND, kind)

    def wrote(self, version: str, *, ordinal: int | None = None, kind: str = "native") -> None:
        """The version that came to be; *ordinal*: the store's own counter, where it has one."""
        self.observed(version, kind=kind)
        if ordinal is not None:
            self.set(at.MEMORY_ORDINALS, [ordinal])

    def parents(self, *versions: str | None) -> None:
        """The versions this write was derived from; None stands for "nothing was there"."""
        self.set(at.MEMORY_PARENTS, [INIT if version is None else str(version) for version in versions])

    def content(self, value: Any) -> None:
        """The content, as a digest; it tells equal contents and never orders anything."""
        self.set(at.MEMORY_DIGESTS, [digest(value)])

    def rolled_back(self) -> None:
        """The write was undone."""
        self.set(at.MEMORY_STATUS, "rolled_back")

    def committed(self) -> None:
        """The write stands."""
        self.set(at.MEMORY_STATUS, "committed")


class _Memory(Operation[MemoryHandle]):
    handle_type = MemoryHandle
    kind = SpanKind.CLIENT


def read(store: str, keys: str | Iterable[str], *, version: str | None = None) -> Operation[MemoryHandle]:
    """A read of one or more keys."""
    return _operation("read_memory", store, keys, version)


def search(store: str, keys: str | Iterable[str] = (), *, watermark: str | None = None) -> Operation[MemoryHandle]:
    """A search; say with `observed` which records it returned. *watermark*: the index position it ran at."""
    return _operation("search_memory", store, keys, None, {at.MEMORY_WATERMARK: watermark})


def write(
    store: str,
    key: str,
    *,
    parents: Iterable[str | None] | None = None,
    version: str | None = None,
    operation: str | None = None,
    epoch: int | None = None,
) -> Operation[MemoryHandle]:
    """A write of one key. *parents*: the versions it was derived from; left out, it is a blind write."""
    derived = None if parents is None else [INIT if parent is None else str(parent) for parent in parents]
    word = operation or ("create_memory" if derived == [INIT] else "update_memory")
    return _operation(word, store, key, version, {at.MEMORY_PARENTS: derived, at.MEMORY_EPOCH: epoch})


def delete(
    store: str, key: str, *, parents: Iterable[str | None] | None = None, version: str | None = None
) -> Operation[MemoryHandle]:
    """A delete; it produces a version too, the tombstone."""
    return write(store, key, parents=parents, version=version, operation="delete_memory")


def _operation(
    word: str, store: str, keys: str | Iterable[str], version: str | None, more: dict[str, Any] | None = None
) -> Operation[MemoryHandle]:
    names = [keys] if isinstance(keys, str) else list(keys)
    attributes = {
        at.OPERATION: word,
        at.MEMORY_STORE: store,
        at.MEMORY_KEYS: names,
        at.MEMORY_VERSIONS: [version] if version is not None else None,
        at.MEMORY_VERSION_KIND: "native" if version is not None else None,
        **(more or {}),
    }
    return _Memory(f"{word} {store}", attributes)


def _said_versions(operation: Operation[Any]) -> list[str]:
    keys = operation.attributes[at.MEMORY_KEYS]
    said = operation.attributes.get(at.MEMORY_VERSIONS) or []
    return [*said, *[""] * (len(keys) - len(said))]
