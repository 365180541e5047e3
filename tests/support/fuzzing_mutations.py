"""Changes that leave a body readable: fields and members are dropped, doubled, moved, renamed, given other values."""

from __future__ import annotations

import json
import random
from typing import Any

# What a field of a message may hold instead: emptiness, nested values, numbers at their ends, text that is none.
_PIECES = (
    b"", b"\0", b"\xff", b"\xed\xa0\x80", "é".encode(), bytes(16), b"\1" * 16, b"\2" * 8, b"\x2a\x00", b"\x32\x00",
    b"\x0a\x01a\x12\x02\x2a\x00", b"\x0a\x01a\x12\x02\x40\x01", b"\x0a\x02\x2a\x00", b"\x0a\x04\x32\x02\x0a\x00",
    b"\x12\x04\x0a\x02\x2a\x00", b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x21\0\0\0\0\0\0\xf8\x7f",
    b"\x0a\x01a",
)  # fmt: skip
_NUMBERS = (0, 1, 127, 128, 255, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**53 + 1, 2**63, -(2**63), 1e300, 0.5, "", "0", "1", "NaN", "Infinity", "-0",
    "9223372036854775808",
    "\ud800", "é", "AA==", "0" * 32, "0a" * 16, "0B" * 8, [], {}, [[]], [{}], {"stringValue": "x"}, {"intValue": "7"},
    {"arrayValue": {}}, {"arrayValue": {"values": [{"arrayValue": {"values": []}}]}}, {"kvlistValue": {"values": [{}]}},
    {"bytesValue": "AP8"}, {"doubleValue": "NaN"}, {"key": "a", "value": {"boolValue": False}}, {"value": {}},
    {"key": "a"},
)  # fmt: skip

Field = tuple[int, int, Any]  # number, wire type, and an integer, bytes or fields


def changed_json(body: bytes, chance: random.Random) -> bytes:
    """*body* with one member or item of its JSON changed; unchanged if it is none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return body
    places = list(_places(data))
    if not places:
        return body
    holder, name = chance.choice(places)
    donor, donated = chance.choice(places)
    act = chance.randrange(5)
    if act == 0:
        del holder[name]
    elif act == 1:
        holder[name] = json.loads(json.dumps(donor[donated]))
    elif act == 2 and isinstance(holder, list):
        holder.insert(name, json.loads(json.dumps(holder[name])))
    elif act == 3 and isinstance(holder, dict):
        holder[str(donated)] = holder.pop(name)
    else:
        holder[name] = chance.choice(_VALUES)
    return json.dumps(data).encode()


def _places(data: Any) -> Any:
    for name, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield data, name
        yield from _places(value)


def changed_protobuf(body: bytes, chance: random.Random) -> bytes:
    """*body* with one field of its messages changed; unchanged if it is none."""
    fields = _fields(body)
    if not fields:
        return body
    held = list(_lists(fields))
    holder, donor = chance.choice(held), chance.choice(held)
    place, donated = chance.randrange(len(holder)), chance.randrange(len(donor))
    number, kind, value = holder[place]
    act = chance.randrange(6)
    if act == 0:
        del holder[place]
    elif act == 1:
        holder.insert(place, holder[place])
    elif act == 2:
        holder[place] = _fields(_bytes([donor[donated]]))[0]  # type: ignore[index]  # what was written can be read
    elif act == 3:
        holder[place] = (chance.randrange(1, 20), kind, value)
    elif kind == 2:
        holder[place] = (number, 2, chance.choice(_PIECES))
    else:
        holder[place] = (number, kind, chance.choice(_NUMBERS))
    return _bytes(fields)


def _lists(fields: list[Field]) -> Any:
    if fields:
        yield fields
    for _, _, value in fields:
        if isinstance(value, list):
            yield from _lists(value)


def _fields(data: bytes, depth: int = 0) -> list[Field] | None:
    """The fields of a message, and of what looks like messages in them; None if *data* is none."""
    found: list[Field] = []
    at = 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            number, kind = tag >> 3, tag & 7
            if kind == 0:
                value, at = _varint(data, at)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
                value, at = int.from_bytes(data[at : at + size], "little"), at + size
            elif kind == 2:
                size, at = _varint(data, at)
                piece, at = data[at : at + size], at + size
                value = (_fields(piece, depth + 1) if piece and depth < 30 else None) or piece
            else:
                return None
            if not number or at > len(data):
                return None
            found.append((number, kind, value))
    except IndexError:
        return None
    return found


def _bytes(fields: list[Field]) -> bytes:
    out = bytearray()
    for number, kind, value in fields:
        out += _from_varint(number << 3 | kind)
        if kind == 0:
            out += _from_varint(value)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            out += (value % 256**size).to_bytes(size, "little")
        else:
            piece = _bytes(value) if isinstance(value, list) else value
            out += _from_varint(len(piece)) + piece
    return bytes(out)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def _from_varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
