"""Rules of redaction as ClickHouse expressions: what `driftline._redaction` does to one value, for whole columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from driftline._redaction import HASHED, OPEN, SHUT
from driftline._redaction_language import Member, Regex, member_hint
from driftline._redaction_rules import CONTENT, MASK, Action, Place, Rule

KEY = "«key»"
"""Stands where the key of the hashes comes in when a view is installed: 128 bytes, HMAC's inner pad and outer pad."""

_MASKED = f"'{MASK}'"


class RedactionSql:
    """Expressions for *rules*. What they are given is SQL, too: a column, or an element of one."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)

    def text(self, place: Place, text: str) -> str:
        """A text that is no attribute."""
        found = text
        for rule in self._at(place):
            if not (rule.keys and rule.patterns):
                found = _parts(rule, found, rule.action)
        return _unless(self._drop(place, None, text), _MASKED, found)

    def keyed_text(self, place: Place, key: str, text: str) -> str:
        """A text that rules may name by *key*."""
        found = text
        for rule in self._at(place):
            if rule.keys and rule.names(key):
                found = _parts(rule, found, rule.action) if rule.patterns else _whole(rule.action, found)
            elif not rule.spares(key) and not (rule.keys and rule.patterns):
                found = _parts(rule, found, rule.action)
        found = _unless(self._drop(place, key, text), _MASKED, found)
        return f"if({text} = '', '', {found})"

    def attributes(self, place: Place, attributes: str) -> str:
        """A map of attributes, in a row where texts were `found`; else only its keys say what is to be done."""
        whole = self._attributes(place, attributes, keys_only=False)
        return f"if(found, {whole}, {self._attributes(place, attributes, keys_only=True)})"

    def _attributes(self, place: Place, attributes: str, *, keys_only: bool) -> str:
        keys, values = f"mapKeys({attributes})", f"mapValues({attributes})"
        dropped = " OR ".join(_dropped(rule) for rule in self._at(place) if rule.action == "drop")
        if dropped:
            dropped = f"k_ NOT IN {CONTENT!r} AND ({dropped})"
            keys, values = (
                f"arrayFilter((k_, v_) -> NOT ({dropped}), {keys}, {values})",
                f"arrayFilter((v_, k_) -> NOT ({dropped}), {values}, {keys})",
            )
        new_keys, new_values = "k_", values
        for rule in self._at(place):
            step = _step(rule, keys_only=keys_only)
            if step != "v_":
                new_values = f"arrayMap((k_, v_) -> {step}, {keys}, {new_values})"
            if not rule.keys and rule.action != "drop" and not keys_only:
                new_keys = _parts(rule, new_keys, rule.action)
        if new_keys != "k_":
            keys = f"arrayMap(k_ -> {new_keys}, {keys})"
        kind = "Map(LowCardinality(String), String)"
        return f"CAST((CAST({keys}, 'Array(LowCardinality(String))'), {new_values}), '{kind}')"

    def hashed_parts(self, places: Iterable[Place], text: str) -> str:
        """A text that detectors compare: what any rule at *places* finds in it is hashed, whatever its action.

        One that holds JSON with members that a rule means is hashed whole.
        """
        found = text
        for rule in self._at(*places):
            if not rule.keys:
                found = _parts(rule, found, "hash")
        hints = [member_hint(rule.member_globs) for rule in self._at(*places) if rule.member_globs]
        if not hints:
            return found
        return f"if(match({text}, {quoted('(?-s)' + '|'.join(hints))}), {hashed(text)}, {found})"

    def hashed_value(self, place: Place, key: str, value: str) -> str:
        """A value under *key* that detectors compare: hashed as far as the rules' keys mean it."""
        for rule in self._at(place):
            if rule.keys and rule.names(key):
                value = _parts(rule, value, "hash") if rule.patterns else _whole("hash", value)
        return value

    def finds(self, texts: Sequence[str]) -> str:
        """Whether any rule may find something in *texts*."""
        hints = [regex.re2 for rule in self._rules for regex in rule.patterns]
        hints += [member_hint(rule.member_globs) for rule in self._rules if rule.member_globs]
        if not hints:
            return "0"
        # One look at all texts together, a line each or more: so that ^ and $ find where each begins and ends.
        anything = "|".join(f"(?:{hint})" for hint in dict.fromkeys(hints))
        return f"match(concat({', '.join(_joined(texts))}), {quoted(f'(?m-s){anything}')})"

    def named_among(self, keys: Sequence[str]) -> str:
        """Whether any rule names one of *keys*, arrays of them."""
        regexes = [regex.re2 for rule in self._rules for own in (False, True) for regex in rule.key_regexes(own=own)]
        if not regexes:
            return "0"
        any_key = quoted("|".join(f"(?:{regex})" for regex in dict.fromkeys(regexes)))
        return " OR ".join(f"arrayExists(k_ -> match(k_, {any_key}), {array})" for array in keys)

    def names(self, place: Place, key: str) -> bool:
        """Whether the keys of a rule at *place* mean *key*."""
        return any(rule.names(key) for rule in self._at(place))

    def concerns(self, place: Place, key: str) -> bool:
        """Whether a rule at *place* names *key* or spares it."""
        return any(rule.names(key) or rule.spares(key) for rule in self._at(place))

    def _at(self, *places: Place) -> list[Rule]:
        return [rule for rule in self._rules if any(rule.at(place) for place in places)]

    def _drop(self, place: Place, key: str | None, text: str) -> str:
        """When *text*, under the known *key* or under none, is dropped; '' for never."""
        found = []
        for rule in self._at(place):
            named = not rule.keys or (key is not None and rule.names(key))
            if rule.action != "drop" or not named or (key is not None and rule.spares(key)):
                continue
            found.append(_found(rule.patterns, [text] if rule.keys or key is None else [text, quoted(key)]))
        return " OR ".join(found)


def hashed(text: str) -> str:
    """HMAC-SHA256 of *text*, first 32 hex digits: ClickHouse has no HMAC of its own everywhere."""
    inner = f"SHA256(concat(substring({KEY}, 1, 64), {text}))"
    return f"concat('{HASHED}', lower(hex(substring(SHA256(concat(substring({KEY}, 65, 64), {inner})), 1, 16))))"


def keyed_number(number: str) -> str:
    """A UInt64 made of *number* and the key."""
    inner = f"SHA256(concat(substring({KEY}, 1, 64), toString({number})))"
    return f"reinterpretAsUInt64(substring(SHA256(concat(substring({KEY}, 65, 64), {inner})), 1, 8))"


def quoted(text: str) -> str:
    """*text* as a literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _dropped(rule: Rule) -> str:
    """When *rule* drops the attribute `k_`, `v_`."""
    when = _found(rule.patterns, ["v_"] if rule.keys else ["v_", "k_"])
    return f"({_named(rule)} AND {when})" if rule.keys else f"({_not_spared(rule)}{when})"


def _step(rule: Rule, *, keys_only: bool) -> str:
    """What becomes of the value `v_` under the key `k_`."""
    left = _left(rule, keys_only=keys_only)
    if rule.action != "drop" or (keys_only and rule.patterns):
        return left
    # Looked at behind what was done to its members, as Python does.
    return f"arrayMap(v_ -> if(k_ IN {CONTENT!r} AND {_dropped(rule)}, {_MASKED}, v_), [{left}])[1]"


def _left(rule: Rule, *, keys_only: bool) -> str:
    if keys_only and (rule.patterns or rule.action == "drop"):
        return "v_"
    if keys_only:
        return f"if({_named(rule)}, {_whole(rule.action, 'v_')}, v_)"
    if not rule.keys:
        parts = _parts(rule, "v_", rule.action)
        return parts if rule.except_regex is None or parts == "v_" else f"if({_not_spared(rule)}1, {parts}, v_)"
    if rule.patterns:
        return "v_" if rule.action == "drop" else f"if({_named(rule)}, {_parts(rule, 'v_', rule.action)}, v_)"
    inside = _parts(rule, "v_", rule.action)
    if rule.except_regex is not None:
        inside = f"if({_not_spared(rule)}1, {inside}, v_)"
    return inside if rule.action == "drop" else f"if({_named(rule)}, {_whole(rule.action, 'v_')}, {inside})"


def _named(rule: Rule) -> str:
    """Whether *rule* means the key `k_`."""
    found = [
        f"{'' if own else 'NOT '}startsWith(k_, 'driftline.') AND match(k_, {quoted(regex.re2)})"
        for own in (False, True)
        for regex in rule.key_regexes(own=own)
    ]
    return f"({_not_spared(rule)}({' OR '.join(f'({one})' for one in found)}))"


def _not_spared(rule: Rule) -> str:
    return "" if rule.except_regex is None else f"NOT match(k_, {quoted(rule.except_regex.re2)}) AND "


def _found(patterns: Sequence[Regex], texts: Sequence[str]) -> str:
    if not patterns:
        return "1"
    return "(" + " OR ".join(f"match({text}, {quoted('(?-s)' + p.re2)})" for p in patterns for text in texts) + ")"


def _unless(condition: str, otherwise: str, text: str) -> str:
    return f"if({condition}, {otherwise}, {text})" if condition else text


def _whole(action: Action, text: str) -> str:
    return hashed(text) if action == "hash" else _MASKED


def _parts(rule: Rule, text: str, action: Action) -> str:
    """*text* without the members and matches that *rule* means."""
    for member in rule.members:
        text = _without_member(member, text, action)
    if action != "drop":
        for regex in rule.patterns:
            if action == "mask":
                text = f"replaceRegexpAll({text}, {quoted('(?-s)' + regex.re2)}, {_MASKED})"
            else:
                text = _marked_hashed(text, f"(?-s)({regex.re2})", rf"{OPEN}\1{SHUT}")
    return text


def _without_member(member: Member, text: str, action: Action) -> str:
    regex, quote = "(?-s)" + member.regex.re2, member.quote.replace("\\", "\\\\")
    if not member.quote:
        return f"replaceRegexpAll({text}, {quoted(regex)}, {_MASKED})"
    if action == "hash":
        return _marked_hashed(text, regex, rf"\1{quote}{OPEN}\2\3{SHUT}{quote}")
    what = member.nothing if action == "drop" else f"{quote}{MASK}{quote}"
    return f"replaceRegexpAll({text}, {quoted(regex)}, {quoted(chr(92) + '1' + what)})"


def _marked_hashed(text: str, regex: str, marked: str) -> str:
    """What *marked* puts between the two marks, hashed."""
    bare = f"replaceAll(replaceAll({text}, '{OPEN}', ''), '{SHUT}', '')"
    end = f"position(s_, '{SHUT}')"
    piece = hashed(f"substring(s_, 1, {end} - 1)")
    return (
        f"arrayStringConcat(arrayMap(s_ -> "
        f"if({end} = 0, s_, concat({piece}, substring(s_, {end} + {len(SHUT.encode())}))), "
        f"splitByString('{OPEN}', replaceRegexpAll({bare}, {quoted(regex)}, {quoted(marked)}))))"
    )


def _joined(texts: Sequence[str]) -> list[str]:
    return [part for text in texts for part in (text, "'\\n'")]
