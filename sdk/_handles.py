"""What `with` blocks yield: a way to say things about a span while it runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Status, StatusCode

from driftline import attributes as at
from driftline._guard import guarded, strict, warn_once
from driftline._payload import safe_text, safe_value, say_arguments, say_result, text_of, texts

if TYPE_CHECKING:
    from driftline._direct import DirectTracer
    from driftline._operation import Operation

OUTCOMES = ("complete", "partial", "failed", "cancelled")
VERDICTS = ("pass", "fail", "error", "skipped")
_LONGEST_WORD = 100


class Handle:
    """Says things about one span. Every method is safe to call at any time; after the end it says nothing more."""

    def __init__(self, operation: Operation[Any]) -> None:
        self._operation = operation
        self.span: trace.Span = trace.INVALID_SPAN
        self._direct: DirectTracer | None = None
        self._context: Context | None = None
        self._life = ""
        self._first: Mapping[str, Any] = {}
        self._late: set[str] = set()
        self._failed = False
        self._ended = False

    def set(self, key: str, value: Any) -> None:
        """Set any attribute; a value OpenTelemetry cannot carry is made safe or left out."""
        self.set_all({key: value})

    def set_all(self, said: Mapping[str, Any]) -> None:
        """Set several attributes."""
        with guarded("setting an attribute"):
            if self._ended:
                warn_once("late", "driftline: %s was said after its span had ended, and is lost", ", ".join(said))
                return
            safe = {key: found for key, value in said.items() if (found := safe_value(value)) is not None}
            self._late.update(safe)
            if self._direct is not None:
                self._direct.say(self.span, safe)
            else:
                self.span.set_attributes(safe)

    def outcome(self, claim: str) -> None:
        """What the program itself claims: complete, partial, failed or cancelled."""
        self._word(at.OUTCOME, claim, OUTCOMES)

    def fail(self, reason: str = "") -> None:
        """Mark the operation as failed although nothing was raised."""
        with guarded("marking a failure"):
            self._failed = True
            if not self._ended:
                self.span.set_status(Status(StatusCode.ERROR, safe_text(str(reason)) or None))

    @property
    def span_context(self) -> trace.SpanContext:
        """The span's own context, for links."""
        return self.span.get_span_context()

    def _set_texts(self, key: str, values: Iterable[object]) -> None:
        with guarded("setting an attribute"):
            self.set(key, texts(values))

    def _word(self, key: str, word: str, allowed: tuple[str, ...]) -> None:
        """Set one of the words of the vocabulary. Another word is a mistake, not a reason to stop the program."""
        said = text_of(word)
        if said in allowed:
            self.set(key, said)
            return
        message = f"{key}: {said[:_LONGEST_WORD]!r} is none of {', '.join(allowed)}"
        if strict():
            raise ValueError(message)
        warn_once(key, "driftline: %s; it is left out", message)

    def _has_said(self, key: str) -> bool:
        return key in self._late or key in self._first


class ToolHandle(Handle):
    """A tool call, step or retrieval."""

    def applied(self) -> None:
        """The effect took place."""
        self.set(at.EFFECT_OUTCOME, "applied")

    def refused(self, reason: str = "") -> None:
        """The receiver declined; nothing changed."""
        self.set(at.EFFECT_OUTCOME, "refused")
        if reason:
            self.fail(reason)

    def unknown(self) -> None:
        """Whether it took place cannot be told."""
        self.set(at.EFFECT_OUTCOME, "unknown")

    def replayed(self) -> None:
        """Served from a cache or re-emitted by a durable engine: no new effect."""
        self.set(at.REPLAYED, True)

    def arguments(self, value: Any) -> None:
        """What the call was given."""
        say_arguments(self, value)

    def result(self, value: Any) -> None:
        """What it returned."""
        say_result(self, value)

    def targets(self, *entities: str) -> None:
        """The entities acted on, e.g. `order/991`."""
        self._set_texts(at.EFFECT_TARGETS, entities)

    def used(self, *references: str) -> None:
        """The versions acted on: references STORE/KEY@VERSION, as memory handles give them."""
        self._set_texts(at.EFFECT_USED, references)

    @property
    def call_id(self) -> str:
        """The id of the logical call, for `compensates=`; one that was not given is made now."""
        if at.CALL_ID not in self._first and not self._made:
            self._made = str(uuid.uuid4())
            self.set(at.CALL_ID, self._made)
        return str(self._first.get(at.CALL_ID) or self._made)

    _made = ""


class ModelHandle(Handle):
    """A model call."""

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read: int | None = None,
        cache_write: int | None = None,
        reasoning: int | None = None,
    ) -> None:
        """Tokens spent; *input_tokens* includes cached ones."""
        keys = (at.USAGE_INPUT, at.USAGE_OUTPUT, at.USAGE_CACHE_READ, at.USAGE_CACHE_WRITE, at.USAGE_REASONING)
        self.set_all(dict(zip(keys, (input_tokens, output_tokens, cache_read, cache_write, reasoning), strict=True)))

    def context(self, *, tools_offered: int | None = None, items: int | None = None) -> None:
        """How much was put before the model."""
        self.set_all({at.CONTEXT_TOOLS: tools_offered, at.CONTEXT_ITEMS: items})

    def finished(self, *reasons: str) -> None:
        """Why the model stopped, e.g. `stop`, `length`."""
        self._set_texts(at.FINISH_REASONS, reasons)

    def used(self, *references: str) -> None:
        """The versions the prompt was built from."""
        self._set_texts(at.EFFECT_USED, references)


class AgentHandle(Handle):
    """A turn of an agent."""

    def used(self, *references: str) -> None:
        """The versions the turn acted on: references STORE/KEY@VERSION, as memory handles give them."""
        self._set_texts(at.EFFECT_USED, references)


class ValidationHandle(Handle):
    """A check."""

    def verdict(self, word: str) -> None:
        """pass, fail, error or skipped."""
        self._word(at.VALIDATION_VERDICT, word, VERDICTS)

    def fail(self, reason: str = "") -> None:
        """What was checked is not right. The check itself did its work: its span is no failed operation."""
        self.verdict("fail")
        with guarded("noting a reason"):
            if reason and not self._ended:
                self.span.add_event(safe_text(str(reason)))

    def checked(self, *references: str) -> None:
        """What was looked at: STORE/KEY@VERSION or call:CALL_ID."""
        self._set_texts(at.VALIDATION_TARGETS, references)
