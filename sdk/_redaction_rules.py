"""Rules of redaction as they stand in `driftline.toml`: what to look for, where, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Literal, get_args

from driftline._redaction_language import InvalidRedaction, Member, Regex, glob, keys_regex, members, pattern

Action = Literal["drop", "mask", "hash"]
Place = Literal["span", "resource", "scope", "event", "link", "status", "log"]
PLACES: tuple[Place, ...] = get_args(Place)
ACTIONS: tuple[Action, ...] = get_args(Action)
MASK = "[REDACTED]"
"""What stands for what was masked; the dialects know it as something that somebody removed."""
BODY, MESSAGE = "log.body", "status.message"
"""Under which keys the body of a log record and the message of a status are looked for."""

CONTENT = (
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "input.value", "output.value", "tool.parameters",
    "langfuse.observation.input", "langfuse.observation.output",
)  # fmt: skip
"""Arguments and results of calls. Dropped they leave the mask: that there were some must be known, or what they would
have said counts as not said."""

_OWN = "driftline."
_MEMBERS = ("keys", "pattern", "preset", "action", "where", "except", "projects")

_SECRET_KEYS = (
    "*password*", "*passwd*", "*passphrase*", "*secret*", "*api?key*", "*apikey*", "*authorization*", "*cookie*",
    "*credential*", "*private?key*", "*privatekey*", "*access?token*", "*accesstoken*", "*refresh?token*",
    "*refreshtoken*", "*auth?token*", "*id?token*", "*session?token*", "*connection?string*", "token", "*.token", "pwd",
    "*.pwd",
)  # fmt: skip
_SECRET_PATTERNS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"\b(?:sk|pk|rk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9]{16,}",
    r"\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{40,}|\bglpat-[A-Za-z0-9_-]{20,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bAIza[0-9A-Za-z_-]{35}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"\bhf_[A-Za-z0-9]{30,}|\bdriftline_(?:ingest|viewer|admin)_[a-z0-9]{10}_[A-Za-z0-9]{40}",
    r"(?i:\bbearer[ \t]+[a-z0-9._~+/-]{8,}=*|\bbasic[ \t]+[a-z0-9+/]{12,}=*)",
    r"(?i:\b[a-z][a-z0-9+.-]*://[^ \t\r\n/@:]*:[^ \t\r\n/@]+@)",
    (
        r"(?i:\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token)"
        r"[ \t]*[=:][ \t]*[\"']?[^ \t\r\n,;&\"'}]+)"
    ),
)
# Each preset: its globs, and its patterns. Whether the digits of a card number add up cannot be asked of a regular
# expression, so whatever looks like one counts.
PRESETS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "secrets": (_SECRET_KEYS, _SECRET_PATTERNS),
    "emails": ((), (r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",)),
    "credit_cards": (
        (),
        (
            r"\b(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6(?:011|5[0-9]{2}))(?:[ -]?[0-9]{4}){3}\b",
            r"\b3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}\b",
        ),
    ),
}


@dataclass(frozen=True)
class Rule:
    """One rule. With *keys* alone whole values are meant, with *patterns* alone parts of any text, with both parts of
    the values under those keys. No *where*: everywhere; no *projects*: in each.
    """

    action: Action
    keys: tuple[str, ...] = ()
    patterns: tuple[Regex, ...] = ()
    where: tuple[Place, ...] = ()
    excepted: tuple[str, ...] = ()
    projects: tuple[str, ...] = field(default=(), compare=False)

    def at(self, place: Place) -> bool:
        """Whether it counts at *place*."""
        return not self.where or place in self.where

    def names(self, key: str) -> bool:
        """Whether its keys name *key*. Wildcards do not reach our own vocabulary: that must be named."""
        return any(regex.found(key) for regex in self.key_regexes(own=key.startswith(_OWN))) and not self.spares(key)

    def spares(self, key: str) -> bool:
        """Whether it leaves what stands under *key* alone."""
        return self.except_regex is not None and self.except_regex.found(key)

    def key_regexes(self, *, own: bool) -> tuple[Regex, ...]:
        """What matches its keys, among our own vocabulary or among all others."""
        globs = [key for key in self.keys if key.lower().startswith(_OWN) == own]
        return (keys_regex(globs),) if globs else ()

    @cached_property
    def except_regex(self) -> Regex | None:
        """What matches the keys it spares."""
        return keys_regex(self.excepted) if self.excepted else None

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The members of JSON it means: those its keys name, if it means whole values."""
        return members(self.member_globs) if self.member_globs else ()

    @property
    def member_globs(self) -> tuple[str, ...]:
        """The globs that name members of JSON. One of wildcards alone names keys only: it would empty all JSON."""
        return () if self.patterns else tuple(key for key in self.keys if key.strip("*?"))


def parse_rules(said: Any, where: str) -> tuple[Rule, ...]:
    """The rules that *said*, a list of tables, stands for; *where* it stands.

    Raises:
        InvalidRedaction: one of them cannot be used.
    """
    if not isinstance(said, Sequence) or isinstance(said, (str, bytes)):
        raise InvalidRedaction(f"{where}: redact is not a list of rules", "write each rule below [[redact]]")
    return tuple(
        rule for number, entry in enumerate(said, 1) for rule in _rules(entry, f"{where}: redact, rule {number}")
    )


def _rules(entry: Any, where: str) -> list[Rule]:
    if not isinstance(entry, Mapping):
        raise InvalidRedaction(f"{where} is no table", "write each rule below [[redact]]")
    for name in entry:
        if name not in _MEMBERS:
            raise InvalidRedaction(f"{where}: unknown member {name!r}", _near(name, _MEMBERS))
    action = _word(entry.get("action", "mask"), ACTIONS, where, "action")
    more: dict[str, Any] = {
        "where": tuple(_word(place, PLACES, where, "where") for place in _list(entry.get("where", []), where, "where")),
        "excepted": tuple(glob(key, f"{where}: except") for key in _list(entry.get("except", []), where, "except")),
        "projects": tuple(str(name) for name in _list(entry.get("projects", []), where, "projects")),
    }
    keys = tuple(glob(key, f"{where}: keys") for key in _list(entry.get("keys", []), where, "keys"))
    patterns = tuple(pattern(text, where) for text in _list(entry.get("pattern", []), where, "pattern"))
    found = []
    for name in _list(entry.get("preset", []), where, "preset"):
        preset_keys, texts = PRESETS[_word(name, tuple(PRESETS), where, "preset")]
        if preset_keys:
            found.append(Rule(action, keys=preset_keys, **more))
        if texts:
            any_of = Regex("|".join(f"(?:{text})" for text in texts))  # in one: half the work
            found.append(Rule("mask" if action == "drop" else action, patterns=(any_of,), **more))
    if keys or patterns:
        found.append(Rule(action, keys=keys, patterns=patterns, **more))
    if not found:
        raise InvalidRedaction(f"{where} looks for nothing", 'give it keys = ["…"], pattern = "…" or preset = "…"')
    return found


def to_json(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """*rules* as `parse_rules` reads them."""
    return [
        {
            "action": rule.action,
            **({"keys": list(rule.keys)} if rule.keys else {}),
            **({"pattern": [regex.re2 for regex in rule.patterns]} if rule.patterns else {}),
            **({"where": list(rule.where)} if rule.where else {}),
            **({"except": list(rule.excepted)} if rule.excepted else {}),
        }
        for rule in rules
    ]


def _list(value: Any, where: str, name: str) -> list[Any]:
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        if not isinstance(value, str):
            raise InvalidRedaction(f"{where}: {name} = {value!r}", f'write {name} = "…", or a list of such')
        return [value]
    return list(value)


def _word(value: Any, allowed: Sequence[Any], where: str, name: str) -> Any:
    if value not in allowed:
        raise InvalidRedaction(f"{where}: {name} = {value!r}", _near(value, allowed))
    return value


def _near(word: Any, allowed: Sequence[str]) -> str:
    near = get_close_matches(str(word), allowed, 1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(allowed)}"
