"""Redaction of spans before they leave the process: by rules, by the program's own function, or both.

It fails closed: what cannot be redacted is not sent.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status

from driftline import attributes as at
from driftline._guard import warn_once
from driftline._payload import safe_digest, safe_value
from driftline._redaction import Redactor
from driftline._redaction_language import InvalidRedaction
from driftline._redaction_rules import MASK, MESSAGE, PRESETS, Place, Rule, parse_rules
from driftline._span_copy import SpanCopy

Callback = Callable[[str, Any], Any]
Redact = str | os.PathLike[str] | Callback | Sequence[Mapping[str, Any] | Callback]

VARIABLE, KEY_VARIABLE = "DRIFTLINE_REDACT", "DRIFTLINE_REDACTION_KEY"
# What detectors compare: a mask would make different things equal, so these are hashed where a rule says mask.
_COMPARED = frozenset(
    (at.AGENT, at.TOOL, at.TOOL_CALL_ID, at.WORKFLOW, at.CONVERSATION, at.MEMORY_STORE, at.DATA_SOURCE,
     at.MESSAGING_DESTINATION, at.MESSAGE_ID, "service.name", "service.instance.id", "host.name")
)  # fmt: skip
_DIGESTS = {at.TOOL_ARGUMENTS: at.ARGS_DIGEST, at.TOOL_RESULT: at.RESULT_DIGEST}
_GONE = object()


class Redacting:
    """Redacts spans by *rules* and *callbacks*, the rules first."""

    def __init__(self, rules: Sequence[Rule], callbacks: Sequence[Callback] = ()) -> None:
        self.shut = False
        # Without a key of the store's, hashes are comparable within this process.
        key = os.environ.get(KEY_VARIABLE, "").strip() or secrets.token_hex(32)
        self._plain = Redactor(rules, key)
        self._compared = Redactor([_comparable(rule) for rule in rules], key)
        self._callbacks = tuple(callbacks)
        self._resources: dict[int, tuple[Resource, Resource]] = {}

    def spans(self, spans: Iterable[ReadableSpan]) -> list[ReadableSpan]:
        """*spans* without what must not leave; one that cannot be redacted is left out."""
        found: list[ReadableSpan] = []
        for span in () if self.shut else spans:
            try:
                found.append(self._span(span))
            except Exception as error:  # noqa: BLE001 - of whatever kind: it must not be sent
                warn_once(
                    "redacting", "driftline does not send a span that it cannot redact (%s)", type(error).__name__
                )
        return found

    @classmethod
    def of_everything(cls) -> Redacting:
        """Lets nothing pass."""
        found = cls(())
        found.shut = True
        return found

    def _span(self, span: ReadableSpan) -> ReadableSpan:
        said = dict(span.attributes or {})
        attributes = self._attributes("span", said)
        for content, digest in _DIGESTS.items():
            # Of what was said, not of what is left: equal calls stay equal.
            if content in said and attributes.get(content) != said[content] and digest not in said:
                found = safe_digest(said[content])
                attributes.update({digest: found} if found else {})
        status = span.status
        if status.description:
            status = Status(status.status_code, self._text("status", MESSAGE, status.description) or MASK)
        return SpanCopy(
            span,
            name=self._text("span", "span.name", span.name) or MASK,
            attributes=attributes,
            events=[
                Event(
                    self._text("event", "event.name", e.name) or MASK,
                    self._attributes("event", e.attributes),
                    e.timestamp,
                )
                for e in span.events
            ],
            links=[Link(link.context, self._attributes("link", link.attributes)) for link in span.links],
            status=status,
            resource=self._resource(span.resource),
        )

    def _resource(self, resource: Resource) -> Resource:
        # By identity, and kept along, so that its id is not given to another.
        if id(resource) not in self._resources:
            changed = Resource(self._attributes("resource", resource.attributes), resource.schema_url)
            self._resources[id(resource)] = resource, changed
        return self._resources[id(resource)][1]

    def _attributes(self, place: Place, said: Mapping[str, Any] | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in (said or {}).items():
            redactor = self._compared if key.startswith(at.NAMESPACE) or key in _COMPARED else self._plain
            left = _by_rules(redactor, place, key, value)
            for callback in self._callbacks:
                left = _GONE if left is _GONE else _called(callback, key, left)
            if left is not _GONE:
                found[redactor.name(place, key)] = left
        return found

    def _text(self, place: Place, key: str, text: str) -> str:
        found: Any = self._plain.keyed_text(place, key, text) if key == MESSAGE else self._plain.text(place, text)
        for callback in self._callbacks:
            found = _called(callback, key, found)
            if found is _GONE:
                return ""
        return str(found)


class RedactingExporter(SpanExporter):
    """Hands spans to *inner* without what *redact* takes: for exporters that are the program's own.

    Raises:
        InvalidRedaction: a rule cannot be used.
    """

    def __init__(self, inner: SpanExporter, redact: Redact | Redacting) -> None:
        self._inner = inner
        self._redacting = redacting(redact)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send what is left of *spans*."""
        left = self._redacting.spans(spans) if self._redacting else list(spans)
        return self._inner.export(left) if left else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """As of the inner one."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """As of the inner one."""
        return self._inner.force_flush(timeout_millis)


def redacting(said: Redact | Redacting | None) -> Redacting | None:
    """What *said* means: a function, rules, the path of a file that holds rules, or names of presets; None: nothing.

    Raises:
        InvalidRedaction: a rule cannot be used, or a file cannot be read.
    """
    if said is None or isinstance(said, Redacting):
        return said
    if isinstance(said, (str, os.PathLike)):
        rules, callbacks = rules_from(os.fspath(said)), []
    elif callable(said):
        rules, callbacks = (), [said]
    else:
        callbacks = [one for one in said if callable(one)]
        rules = parse_rules([one for one in said if not callable(one)], "redact")
    return Redacting(rules, callbacks) if rules or callbacks else None


def rules_from(said: str) -> tuple[Rule, ...]:
    """The rules in the TOML file that *said* is the path of, or of the presets that it names, as `secrets,emails`.

    Raises:
        InvalidRedaction: there is no such file, or a rule in it cannot be used.
    """
    names = [name.strip() for name in said.split(",") if name.strip()]
    if names and all(name in PRESETS for name in names):
        return parse_rules([{"preset": names}], VARIABLE)
    file = Path(said)
    try:
        data = _toml().loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRedaction(
            f"the rules of redaction in {said} cannot be read: {getattr(error, 'strerror', None) or error}",
            f"name a TOML file that has [[redact]], or presets: {', '.join(PRESETS)}",
        ) from error
    if file.name == "pyproject.toml":
        data = data.get("tool", {}).get("driftline", {})
    if "redact" not in data:
        raise InvalidRedaction(f"{said} holds no rules of redaction", "write each below [[redact]]")
    return parse_rules(data["redact"], said)


def _toml() -> Any:
    try:
        return import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    except ImportError:
        raise InvalidRedaction("this Python reads no TOML", "pip install tomli, or give rules in the program") from None


def _comparable(rule: Rule) -> Rule:
    return replace(rule, action="hash") if rule.action == "mask" else rule


def _by_rules(redactor: Redactor, place: Place, key: str, value: Any) -> Any:
    """What the rules leave of *value*, of its own type where they change nothing."""
    if not redactor.rules:
        return value
    text = _as_text(value)
    if redactor.drops(place, key, text):
        return _GONE
    left = redactor.value(place, key, text)
    if left == text:
        return value
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and not redactor.names(place, key):
        items = [redactor.value(place, key, _as_text(item)) for item in value]
        together = json.dumps(items, ensure_ascii=False)
        return items if redactor.value(place, key, together) == together else left
    return left


def _called(callback: Callback, key: str, value: Any) -> Any:
    try:
        left = callback(key, value)
    except Exception as error:  # noqa: BLE001 - the program's own; the value is not sent
        warn_once(
            "redact callback",
            "driftline: redact(%r, …) failed (%s); values it fails on are not sent",
            key,
            type(error).__name__,  # not its text, which may quote the value
        )
        return _GONE
    safe = None if left is None else safe_value(left)
    return _GONE if safe is None else safe


def _as_text(value: Any) -> str:
    """*value* as the collector stores it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return json.dumps(list(value), ensure_ascii=False, default=str, separators=(",", ":"))
    return str(value)
