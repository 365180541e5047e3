"""Calls that may act on the world: arguments, results, attempts, and what became of the effect."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.context import Context

from driftline import attributes as at
from driftline._arguments import Named, Reader, arguments_of
from driftline._attempts import current_attempt, outside_attempt
from driftline._guard import guarded
from driftline._handles import ToolHandle
from driftline._operation import NOTHING, Call, Operation
from driftline._payload import captured_arguments, captured_result, safe_digest, safe_value, texts
from driftline._quick import Quick
from driftline.errors import Refused

Texts = str | Iterable[str]
Key = str | Callable[..., str]
Targets = Texts | Callable[..., Texts]

WRITES = ("write", "destructive")
EFFECTS = ("none", "read", *WRITES)
# Where not even digests may leave the process, calls are told apart by one that nobody can recompute.
_UNGUESSABLE = uuid.uuid4().hex


class Effect(Operation[ToolHandle]):
    """A tool call, a step or a retrieval."""

    handle_type = ToolHandle
    _read: Reader | None = None

    def __init__(
        self,
        called: str,
        name: str,
        attributes: Mapping[str, Any],
        key: Key | None = None,
        targets: Targets = (),
    ) -> None:
        self._called = called
        self._key = key if callable(key) else None
        self._targets = targets if callable(targets) else None
        fixed = {
            **attributes,
            at.EFFECT_KEY: None if key is None or callable(key) else safe_digest(key),
            at.EFFECT_TARGETS: None if callable(targets) else listed(targets),
        }
        super().__init__(name, fixed)
        self._writes = self.attributes.get(at.EFFECT) in WRITES

    def decorates(self, function: Callable[..., Any]) -> None:
        """Learn how to read the arguments of *function*."""
        self._read = arguments_of(function)

    def quick(self) -> Quick | None:
        """The quick way to trace the decorated function; None where each call asks for more."""
        read = self._read
        if not isinstance(read, Named) or not read.settled or self._key is not None or self._targets is not None:
            return None
        return Quick(self.name, self.kind, self._identity, self._rest, read, "applied" if self._writes else None)

    def inside(self, context: Context) -> Context:
        """What a call does inside is not itself the retried call."""
        return outside_attempt(context)

    def begin(self, base: Context, call: Call | None) -> Mapping[str, Any]:
        """What was given, what it aims at, and which attempt this is."""
        attempt = current_attempt(base)
        if call is None and attempt is None:
            return {}
        found: dict[str, Any] = {}
        given: Any = NOTHING
        if call is not None:
            if self._read is not None:
                with guarded("reading arguments"):
                    given = self._read(*call)
                    found.update(captured_arguments(given))
            if self._targets is not None or self._key is not None:
                found.update(self._aimed(call))
        if attempt is not None:
            mine = attempt.attributes(self._called, self._apart(given, found))
            found.update({key: value for key, value in mine.items() if key not in self.attributes})
        return found

    def finish(self, handle: ToolHandle, error: BaseException | None, result: Any) -> dict[str, Any]:
        """What came back; and of a declared write what became of it, unless the program said so itself."""
        found: dict[str, Any] = {}
        if result is not NOTHING and not handle._has_said(at.RESULT_DIGEST):
            found.update(captured_result(result))
        if self._writes and not handle._has_said(at.EFFECT_OUTCOME):
            failed = error is not None or handle._failed
            found[at.EFFECT_OUTCOME] = "refused" if isinstance(error, Refused) else "unknown" if failed else "applied"
        return found

    def _aimed(self, call: Call) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._targets is not None:
            with guarded("finding the targets of a call"):
                found[at.EFFECT_TARGETS] = safe_value(listed(self._targets(*call.args, **call.kwargs)))
        if self._key is not None:
            with guarded("finding the idempotency key of a call"):
                found[at.EFFECT_KEY] = safe_digest(self._key(*call.args, **call.kwargs))
        return {key: value for key, value in found.items() if value is not None}

    def _apart(self, given: Any, found: Mapping[str, Any]) -> str:
        """What tells this call from other calls of the tool in the same attempt: a short digest, '' if nothing does."""
        key = found.get(at.EFFECT_KEY) or self.attributes.get(at.EFFECT_KEY)
        targets = found.get(at.EFFECT_TARGETS) or self.attributes.get(at.EFFECT_TARGETS)
        by: Any = key or found.get(at.ARGS_DIGEST) or targets
        if by is None and given is not NOTHING:
            by = [_UNGUESSABLE, given]
        return (safe_digest(by) or "")[:8] if by else ""


def listed(values: Texts) -> list[str] | None:
    """*values* as a list; a single text is a list of one."""
    return texts(values) or None


def effect_word(word: str | None) -> str | None:
    """*word*, if it is one of the vocabulary."""
    if word is not None and word not in EFFECTS:
        raise ValueError(f"effect {word!r}: use one of {', '.join(EFFECTS)}")
    return word
