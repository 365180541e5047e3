"""Looks through the bytes of a request for values that ClickHouse cannot read: most have none, and are not walked then.

NumPy looks at all bytes at once. On the wire such a value is a tag, a length, a tag, a length; only where the lengths
fit each other may one be, so text seldom looks like it. Lengths are taken to be written as short as they can be.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Tags of an AnyValue in its holder: a KeyValue's value, a log record's body; and an array's element.
_VALUE, _BODY, _ELEMENT = 0x12, 0x2A, 0x0A
# Tags inside an AnyValue. A number in a table of strings is something that requests for traces and logs do not have.
_ARRAY, _MAP, _REFERENCE = 0x2A, 0x32, 0x40
_MORE = 0x80  # from here on, a byte of a length has another behind it
_LONGEST = 5  # bytes of a length


def may_hold_nested(wire: bytes) -> bool:
    """Whether there may be a map, an array inside an array, or an empty array (which ClickHouse takes for none).

    Never false when there is one.
    """
    found = np.frombuffer(wire, np.uint8)
    if found.size < 4:
        return False
    # Both lengths of one byte: the outer counts the inner tag and the inner length with it. What is at the end of the
    # request may have no byte behind it, and no content then.
    tag, outer, kind, inner = found[:-3], found[1:-2], found[2:-1], found[3:]
    is_kind = (kind == _MAP) | (kind == _ARRAY)
    places = np.flatnonzero((outer == inner + np.uint8(2)) & is_kind)
    if _has_no_column(tag[places], kind[places], inner[places]).any():
        return True
    # An outer length of several bytes ends with one below 128 behind one that is not.
    places = np.flatnonzero((tag >= _MORE) & is_kind & (outer < _MORE))
    before = found[places - 1]  # a tag, or another byte of the length
    places = places[(before >= _MORE) | _has_no_column(before, kind[places], np.uint8(1))]
    return any(_fits(wire, int(place) + 2) for place in places)


def may_hold_reference(wire: bytes) -> bool:
    """Whether there may be a value that is a number in a table of strings; never false when there is one."""
    found = np.frombuffer(wire, np.uint8)
    tag, outer, kind = found[:-2], found[1:-1], found[2:]
    like = (kind == _REFERENCE) & (outer - np.uint8(2) <= 4)
    return any(tag[place] in (_VALUE, _BODY) for place in np.flatnonzero(like))


def _has_no_column(tag: Any, kind: Any, size: Any) -> Any:
    """Whether values of *kind* and *size*, held by *tag*, have no column."""
    return (tag == _ELEMENT) | (((tag == _VALUE) | (tag == _BODY)) & ((kind == _MAP) | (size == 0)))


def _fits(wire: bytes, place: int) -> bool:
    """Whether the lengths around the tag at *place* fit each other, the one before it having several bytes."""
    inner, behind = _length(wire, place + 1)
    for begin in range(place - 2, max(0, place - _LONGEST - 1), -1):
        if wire[begin] < _MORE:  # an earlier length, or a tag, ends here
            return False
        outer, _ = _length(wire, begin)
        if outer == 1 + behind + inner and _has_no_column(wire[begin - 1], wire[place], inner):
            return True
    return False


def _length(wire: bytes, begin: int) -> tuple[int, int]:
    """The length that begins there, and how many bytes it has."""
    number = 0
    for place, byte in enumerate(wire[begin : begin + _LONGEST]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < _MORE:
            return number, place + 1
    return number, _LONGEST
