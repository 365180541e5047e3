"""Canonical JSON and digests: equal values give equal digests, whatever program computed them.

RFC 8785 (JSON Canonicalization Scheme): members sorted by UTF-16 code units, numbers as ECMAScript writes them, no
white space. What JSON cannot express is mapped to something that is the same in every process, or refused: a digest
over an object's address would make equal calls look different.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, time
from decimal import Decimal
from enum import Enum
from hashlib import sha256 as _sha256
from numbers import Integral, Real
from typing import Any
from uuid import UUID

_SAFE = 2**53
_MAX_DEPTH = 100


class NotCanonical(ValueError):
    """The value has no form that would be the same in another process."""


def canonical_json(value: Any) -> str:
    """*value* as RFC 8785 text.

    Raises:
        NotCanonical: it holds something without a stable form (an arbitrary object, NaN, a cycle).
    """
    return _write(value, 0)


def digest(value: Any) -> str:
    """Hex SHA-256, first 32 digits, of the canonical form; text that is a JSON object or array counts as its value.

    Raises:
        NotCanonical: as `canonical_json`.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        # Text that has no canonical value (NaN in it, say) stands for itself.
        with contextlib.suppress(ValueError, RecursionError):
            return sha256(canonical_json(json.loads(value)))
    return sha256(canonical_json(value))


def scalar_digest(value: str | float | bool | None) -> str:
    """`digest` of a value of exactly one of these types, or an int: without asking what else it might be.

    Raises:
        NotCanonical: as `digest`.
    """
    if type(value) is str:
        start = value[:1]
        if start == "{" or start == "[" or start.isspace():  # noqa: PLR1714 - the cheapest way to ask
            return digest(value)
    return sha256(EXACTLY[type(value)](value))


def sha256(text: str) -> str:
    """The digest of a canonical form."""
    encoded = text.encode() if text.isascii() else text.encode("utf-8", "surrogatepass")
    return _sha256(encoded).hexdigest()[:32]


def _write(value: Any, depth: int) -> str:
    exact = EXACTLY.get(type(value))
    if exact is not None:
        return exact(value)
    if type(value) not in (dict, list, tuple):
        if isinstance(value, Enum):
            return _write(value.value, depth)
        if isinstance(value, str):
            return _text(str.__str__(value))
        if isinstance(value, int):
            return _integer(int(value))
        if isinstance(value, float):
            return _number(value)
    if depth > _MAX_DEPTH:
        raise NotCanonical("nested too deeply, or within itself")
    return _compound(value, depth)


def _compound(value: Any, depth: int) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([_write(item, depth + 1) for item in value]) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join([f"{_text(key)}:{_write(item, depth + 1)}" for key, item in _members(value)]) + "}"
    if isinstance(value, AbstractSet):
        return "[" + ",".join(sorted(_write(item, depth + 1) for item in value)) + "]"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _write({f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, depth + 1)
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return _write(dump(mode="json"), depth + 1)
    return _foreign(value)


def _members(value: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    """The members in order of their names' UTF-16 code units, which for ASCII is the order of text."""
    named = {key if type(key) is str else _key(key): item for key, item in value.items()}
    if len(named) < len(value):
        raise NotCanonical("two members have one name")
    if "".join(named).isascii():
        return [(name, named[name]) for name in sorted(named)]
    return sorted(named.items(), key=lambda member: member[0].encode("utf-16-be", "surrogatepass"))


def _foreign(value: Any) -> str:
    """What JSON has no type for, but everybody writes the same way."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _text(bytes(value).hex())
    if isinstance(value, (date, time)):
        return _text(value.isoformat())
    if isinstance(value, (Decimal, UUID)):
        return _text(str(value))
    if isinstance(value, os.PathLike):
        return _text(os.fsdecode(value))
    if isinstance(value, Integral):  # numpy's integers are no int
        return _integer(int(value))
    if isinstance(value, Real):
        return _number(float(value))
    raise NotCanonical(f"{type(value).__qualname__} has no canonical form")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, (int, float, bool)) or key is None:
        return _write(key, 0).strip('"')
    raise NotCanonical(f"a member is named by a {type(key).__qualname__}")


_text: Callable[[str], str] = json.encoder.encode_basestring


def _integer(value: int) -> str:
    # Integers beyond 2^53 are no JSON numbers that survive a parser; as text they stay distinct. Hexadecimal beyond
    # that, because Python refuses to write very long decimals.
    if -_SAFE <= value <= _SAFE:
        return str(value)
    return f'"{value}"' if value.bit_length() < 1024 else f'"{value:#x}"'


def _number(value: float) -> str:
    """A double as ECMAScript's Number::toString writes it (RFC 8785, section 3.2.2.3)."""
    if not math.isfinite(value):
        raise NotCanonical("NaN and infinities are no JSON")
    if value == 0:
        return "0"
    if value.is_integer() and abs(value) < _SAFE:
        return str(int(value))
    mantissa, _, exponent = float.__repr__(value).partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len((whole + fraction).lstrip("0")))
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if 0 < point <= 21:
        padded = digits.ljust(point, "0")
        return sign + padded[:point] + (f".{padded[point:]}" if padded[point:] else "")
    digits = digits.rstrip("0")
    power = point - 1
    rest = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{rest}e{'+' if power > 0 else '-'}{abs(power)}"


# By type, as nearly every value is of one of these; their subclasses are asked for one by one.
EXACTLY: dict[type, Callable[[Any], str]] = {
    str: _text,
    int: _integer,
    float: _number,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
