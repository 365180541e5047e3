"""What rules of redaction are written in: globs for keys, RE2 for values; each in the form ClickHouse and Python read.

Rules are judged by ClickHouse in the collector and by Python in the SDK. Both must find the same, so a pattern may use
only what both engines have and mean alike; where they write one thing differently it is translated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from driftline.errors import DriftlineError

if hasattr(re, "_parser"):  # from Python 3.11 on
    _sre: Any = re._parser
else:  # pragma: no cover
    import sre_parse as _sre

_LONGEST_REPEAT = 1000
_SPACE, _NO_SPACE = r"\t\n\f\r ", r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff"
_UNKNOWN_TO_RE2 = {
    "ASSERT": "a look-around, (?=…), (?!…), (?<=…) or (?<!…)",
    "ASSERT_NOT": "a look-around, (?=…), (?!…), (?<=…) or (?<!…)",
    "GROUPREF": "a back-reference",
    "GROUPREF_EXISTS": "a condition on a group",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive repeat",
}
_SAMPLES = ("", " ", "a", "1", " a-1\n b_2@x.y ")
_WHY = "patterns run inside ClickHouse, whose engine RE2 has none: that is how it never gets slow"
# Written the same, but meaning different things to the two engines, or known to one of them only.
_AMBIGUOUS = (
    (r"\\[AZz]", "use ^ or $ without the flag m"),
    (r"\\[0-9]", "write \\xHH for a character by its number; RE2 has no back-references"),
    (r"\\[uUN]", "write the character itself"),
    (r"\[\[:", "write the characters of the class"),
    (r"\(\?#", "leave the comment out"),
    (r"\{,\d", "write {0,n}"),
)


class InvalidRedaction(DriftlineError):
    """A rule of redaction cannot be used; the message says where, why and what would do."""


@dataclass(frozen=True)
class Regex:
    """One regular expression: *re2* as ClickHouse reads it; `python` finds the same."""

    re2: str

    @cached_property
    def python(self) -> re.Pattern[str]:
        """Compiled for Python. Classes are ASCII's, as in RE2."""
        return re.compile(_for_python(self.re2), re.ASCII)

    def found(self, text: str) -> bool:
        """Whether it occurs in *text*."""
        return self.python.search(text) is not None


def pattern(text: Any, where: str) -> Regex:
    """*text* from a rule as a pattern.

    Raises:
        InvalidRedaction: it is no pattern that both engines read alike.
    """
    if not isinstance(text, str) or not text:
        raise InvalidRedaction(f"{where}: pattern = {text!r}", "write a regular expression in RE2's syntax, as text")
    for sign, todo in _AMBIGUOUS:
        if match := re.search(rf"(?<!\\)(?:\\\\)*({sign})", text):
            raise InvalidRedaction(f"{where}: the pattern {text!r} has {match[1]!r}", todo)
    try:
        tree = _sre.parse(text, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidRedaction(f"{where}: the pattern {text!r} cannot be read: {error}", "mend it") from error
    for name, repeat in _operations(tree):
        if name in _UNKNOWN_TO_RE2:
            raise InvalidRedaction(
                f"{where}: the pattern {text!r} has {_UNKNOWN_TO_RE2[name]}; {_WHY}",
                "say it with plain groups and classes, or match more and name keys",
            )
        if repeat > _LONGEST_REPEAT:
            raise InvalidRedaction(f"{where}: the pattern {text!r} repeats {repeat} times", "RE2 allows 1000")
    if re.search(r"(?<!\\)\(\?[a-z]*[-Laux]", re.sub(r"\(\?P<\w+>", "(", text)):
        raise InvalidRedaction(f"{where}: the pattern {text!r} sets other flags than i, m and s", "leave them out")
    made = Regex(text)
    if any(not found[0] for sample in _SAMPLES for found in made.python.finditer(sample)):
        raise InvalidRedaction(
            f"{where}: the pattern {text!r} also matches where nothing is", "require at least one character"
        )
    return made


def _operations(tree: Any) -> Iterator[tuple[str, int]]:
    """Every operation in a parsed pattern, with how often it repeats at most."""
    for operation, argument in tree:
        most = argument[1] if "REPEAT" in str(operation) else 0
        yield str(operation), 0 if most == _sre.MAXREPEAT else max(int(most), int(argument[0]) if most else 0)
        yield from _inside(argument)


def _inside(argument: Any) -> Iterator[tuple[str, int]]:
    if isinstance(argument, _sre.SubPattern):
        yield from _operations(argument)
    elif isinstance(argument, (tuple, list)):
        for part in argument:
            yield from _inside(part)


def _for_python(text: str) -> str:
    r"""RE2's *text* for Python: `$` is the end of the text only, `\s` does not count the vertical tab."""
    out: list[str] = []
    several_lines = bool(re.match(r"\(\?[a-z]*m", text))
    position, in_class = 0, False
    while position < len(text):
        sign = text[position]
        if sign == "\\":
            pair = text[position : position + 2]
            space = {r"\s": _SPACE, r"\S": _NO_SPACE}.get(pair)
            out.append(pair if space is None else space if in_class else f"[{space}]")
            position += 2
            continue
        if in_class:
            in_class = sign != "]"
        elif sign == "[":
            in_class = True
            opening = re.compile(r"\[\^?\]?").match(text, position)
            sign = opening[0] if opening else sign
        elif sign == "$" and not several_lines:
            sign = r"\Z"
        out.append(sign)
        position += 1 if sign == r"\Z" else len(sign)
    return "".join(out)


# -- keys


def glob(text: Any, where: str) -> str:
    """*text* from a rule as a glob for keys.

    Raises:
        InvalidRedaction: it is none.
    """
    if not isinstance(text, str) or not text.strip():
        raise InvalidRedaction(f"{where}: {text!r} is no key", 'name keys as text, with * and ?: "user.*"')
    return text.strip()


def _glob_regex(text: str, any_sign: str) -> str:
    return "".join({"*": f"{any_sign}*", "?": any_sign}.get(sign) or re.escape(sign) for sign in text)


def keys_regex(globs: Iterable[str]) -> Regex:
    """Matches the keys that one of *globs* names, whole and whatever their case."""
    return Regex(f"(?i)^(?:{'|'.join(_glob_regex(text, '(?s:.)') for text in globs)})$")


# -- members of JSON, found in its text: in an attribute that is JSON, in JSON inside its strings, in a Python dict as
# `str` writes it. What is cut short counts as far as it goes; what is nested deeper than this goes whole.

_DEPTH = 4
_WS = r"[ \t\r\n]*"


@dataclass(frozen=True)
class Member:
    """A member in one of its spellings: groups 1 what stands before the value, 2 and 3 the value.

    *quote* is what a text in place of the value stands in, *nothing* what stands for no value; without *quote* all that
    is found is replaced.
    """

    regex: Regex
    quote: str
    nothing: str = "null"


def members(globs: Iterable[str]) -> tuple[Member, ...]:
    """The spellings of members that one of *globs* names."""
    names = tuple(globs)
    any_of = "|".join(_glob_regex(name, r'[^"\\]') for name in names)
    plain, single = "|".join(_glob_regex(name, r"[^'\\]") for name in names), r"'(?:[^'\\]|\\(?s:.))*(?:'|\\?$)"
    double = r'"(?:[^"\\]|\\(?s:.))*(?:"|\\?$)'
    escaped_signs = r'(?:[^"\\]|\\\\\\"|\\\\\\\\|\\\\[^"\\]|\\[^"\\])*'
    escaped = rf'\\"{escaped_signs}(?:\\"|"|\\*$)'
    scalar = r"""[^ \t\r\n,\[\]{}"'\\]+"""
    return (
        Member(Regex(rf'(\\\\+"(?i:{any_of})\\\\+"{_WS}:(?s:.)*)'), ""),
        Member(
            _member(
                rf'\\"(?i:{any_of})\\"', rf'\\"({escaped_signs})(?:\\"|"|\\*$)', _nested(escaped, r'\\[^"]'), scalar
            ),
            '\\"',
        ),
        Member(_member(rf'"(?i:{any_of})"', r'"((?:[^"\\]|\\(?s:.))*)(?:"|\\?$)', _nested(double), scalar), '"'),
        Member(
            _member(
                rf"'(?i:{plain})'",
                r"'((?:[^'\\]|\\(?s:.))*)(?:'|\\?$)",
                rf"{double}|{_nested(f'{single}|{double}')}",
                scalar,
            ),
            "'",
            "None",
        ),
    )


def member_hint(globs: Iterable[str]) -> str:
    """An RE2 expression that matches whatever text holds a member that one of *globs* names."""
    any_of = "|".join(_glob_regex(name, r"""[^"'\\]""") for name in globs)
    return rf"""["'](?i:{any_of})\\*["']{_WS}:"""


def _member(name: str, text: str, nested: str, scalar: str) -> Regex:
    return Regex(rf"({name}{_WS}:{_WS})(?:{text}|({nested}|{scalar}))")


def _nested(text: str, escape: str = r"\\(?s:.)") -> str:
    """An array or object, to a depth; deeper ones to the end of the text."""
    other = rf"""[^\[\]{{}}"'\\]|{escape}"""
    found = rf"[\[{{](?:{text}|{other})*(?:[\]}}]|$)"
    for _ in range(_DEPTH - 1):
        found = rf"[\[{{](?:{text}|{found}|{other})*(?:[\]}}]|$)"
    return rf"{found}|[\[{{](?s:.)*"
