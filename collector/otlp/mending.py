"""Bodies that are nearly right. One text cut in the middle of a character must not cost a batch of good spans.

Only what has been refused comes here: text that is no Unicode becomes text with U+FFFD, an integer that no 64 bits hold
becomes the double it was.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from driftline.collector.otlp.framing import varint

_LARGEST = 8 * 2**20  # bytes of protobuf that are worth a walk in Python
_DEEPEST = 100
_HALVES = re.compile("[\ud800-\udfff]")
_FIXED = {1: 8, 5: 4}


class _Broken(Exception):
    """The bytes are no message."""


def mend_json(data: Any) -> tuple[Any, int, int]:
    """*data*, changed in place where it can be; how many texts were mended, and how many numbers."""
    if isinstance(data, str):
        text = _HALVES.sub("\ufffd", data)
        return text, int(text != data), 0
    texts = numbers = 0
    if isinstance(data, list):
        for place, item in enumerate(data):
            data[place], more, most = mend_json(item)
            texts, numbers = texts + more, numbers + most
    elif isinstance(data, dict):
        number = data.get("intValue")
        # JavaScript's SDK sends 1e300 as an `intValue`.
        if isinstance(number, (int, float)) and not isinstance(number, bool) and not -(2**63) <= number < 2**63:
            data["doubleValue"], numbers = float(data.pop("intValue")), 1
        for name, item in list(data.items()):
            data[name], more, most = mend_json(item)
            texts, numbers = texts + more, numbers + most
    return data, texts, numbers


def mend_protobuf(body: bytes, message: Descriptor) -> tuple[bytes, int]:
    """A serialized *message* with its texts made UTF-8, and how many had to be; 0 when that was not what is wrong."""
    if len(body) > _LARGEST:
        return body, 0
    try:
        return _message(body, message, 0)
    except (_Broken, IndexError):
        return body, 0


def _message(body: bytes, message: Descriptor, depth: int) -> tuple[bytes, int]:
    if depth > _DEEPEST:
        raise _Broken
    fields = message.fields_by_number
    parts, at, copied, mended = [], 0, 0, 0
    while at < len(body):
        tag, at = _number(body, at)
        kind = tag & 7
        if kind == 2:
            length, (size, begin) = at, _number(body, at)
            at = begin + size
            if at > len(body):
                raise _Broken
            piece, count = _piece(body[begin:at], fields.get(tag >> 3), depth)
            if count:
                parts += [body[copied:length], varint(len(piece)), piece]
                copied, mended = at, mended + count
        elif kind == 0:
            _, at = _number(body, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            raise _Broken
    return b"".join([*parts, body[copied:]]) if mended else body, mended


def _piece(piece: bytes, field: FieldDescriptor | None, depth: int) -> tuple[bytes, int]:
    if field is not None and field.type == FieldDescriptor.TYPE_MESSAGE:
        return _message(piece, field.message_type, depth + 1)
    if field is not None and field.type == FieldDescriptor.TYPE_STRING:
        text = piece.decode("utf-8", "replace").encode()
        return text, int(text != piece)
    return piece, 0


def _number(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = body[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
        if shift > 63:
            raise _Broken
