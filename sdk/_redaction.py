"""Redaction in Python, by the same rules and to the same end as the views of the collector."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from driftline._redaction_language import Member, Regex
from driftline._redaction_rules import CONTENT, MASK, Action, Place, Rule

HASHED = "hash:"
REDACTED = re.compile(r"\[REDACTED\]|hash:[0-9a-f]{32}")
"""Tells that something was taken from a text."""
# Stand around what is to be hashed for a moment; no text of a sender keeps them.
OPEN, SHUT = "\ufdd0", "\ufdd1"


class Redactor:
    """Applies *rules*. *key* makes hashes that nobody can guess who does not have it."""

    def __init__(self, rules: Sequence[Rule], key: str) -> None:
        self.rules = tuple(rules)
        self._key = key.encode()

    def hashed(self, text: str) -> str:
        """What stands for *text*: HMAC-SHA256, first 32 digits."""
        digest = hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
        return HASHED + digest[:32]

    def attributes(self, place: Place, said: Mapping[str, str]) -> dict[str, str]:
        """Attributes, as text, without what the rules take."""
        kept = {key: value for key, value in said.items() if not self.drops(place, key, value)}
        return {self.name(place, key): self.value(place, key, value) for key, value in kept.items()}

    def value(self, place: Place, key: str, value: str) -> str:
        """What becomes of *value* under *key*, if it is not dropped."""
        for rule in self.rules:
            if rule.at(place):
                value = self._by(rule, key, value)
                if rule.action == "drop" and key in CONTENT and self._drops_by(rule, key, value):
                    value = MASK
        return value

    def text(self, place: Place, text: str) -> str:
        """What becomes of a text that is no attribute: a span's name, an event's, a version."""
        if self.drops(place, None, text):
            return MASK
        for rule in self.rules:
            if rule.at(place) and not (rule.keys and rule.patterns):
                text = self._parts(rule, text)
        return text

    def keyed_text(self, place: Place, key: str, text: str) -> str:
        """What becomes of a text that rules may name by *key*: the body of a log record, the message of a status."""
        if not text:
            return text
        return MASK if self.drops(place, key, text) else self.value(place, key, text)

    def name(self, place: Place, key: str) -> str:
        """What becomes of an attribute's *key* itself."""
        for rule in self.rules:
            if rule.at(place) and not rule.keys and rule.action != "drop":
                key = self._parts(rule, key)
        return key

    def names(self, place: Place, key: str) -> bool:
        """Whether a rule takes the whole value under *key*."""
        return any(rule.keys and not rule.patterns and rule.names(key) for rule in self.rules if rule.at(place))

    def drops(self, place: Place, key: str | None, value: str) -> bool:
        """Whether *value* goes without a trace: an attribute under *key*, or a text that has none."""
        found = any(self._drops_by(rule, key, value) for rule in self.rules if rule.action == "drop" and rule.at(place))
        return found and key not in CONTENT

    @staticmethod
    def _drops_by(rule: Rule, key: str | None, value: str) -> bool:
        if rule.keys and (key is None or not rule.names(key)):
            return False
        if key is not None and rule.spares(key):
            return False
        texts = (value,) if rule.keys or key is None else (value, key)
        return not rule.patterns or any(regex.found(text) for regex in rule.patterns for text in texts)

    def _by(self, rule: Rule, key: str, value: str) -> str:
        if rule.keys and rule.names(key):
            return self._parts(rule, value) if rule.patterns else self._whole(rule.action, value)
        if rule.spares(key) or (rule.keys and rule.patterns):
            return value
        return self._parts(rule, value)

    def _whole(self, action: Action, value: str) -> str:
        return self.hashed(value) if action == "hash" else MASK

    def _parts(self, rule: Rule, text: str) -> str:
        """*text* without the members and matches that *rule* means."""
        for member in rule.members:
            text = self._without_member(member, rule.action, text)
        if rule.action != "drop":
            for regex in rule.patterns:
                text = self._without_match(regex, rule.action, text)
        return text

    def _without_member(self, member: Member, action: Action, text: str) -> str:
        python = member.regex.python
        if not member.quote:
            return python.sub(MASK, text)
        if action == "drop":
            return python.sub(lambda found: found[1] + member.nothing, text)
        if action == "mask":
            return python.sub(lambda found: f"{found[1]}{member.quote}{MASK}{member.quote}", text)

        def hashed(found: re.Match[str]) -> str:
            value = (found[2] or "") + (found[3] or "")
            return f"{found[1]}{member.quote}{self.hashed(value)}{member.quote}"

        return python.sub(hashed, _unmarked(text))

    def _without_match(self, regex: Regex, action: Action, text: str) -> str:
        if action == "mask":
            return regex.python.sub(MASK, text)
        return regex.python.sub(lambda found: self.hashed(found[0]), _unmarked(text))


def _unmarked(text: str) -> str:
    return text.replace(OPEN, "").replace(SHUT, "")
