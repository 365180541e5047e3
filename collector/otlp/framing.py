"""Messages one behind the other, as ClickHouse's `Protobuf` format has them."""

from __future__ import annotations


def framed(request: bytes) -> bytes:
    """A serialized request behind its length."""
    return varint(len(request)) + request


def varint(number: int) -> bytes:
    """*number* in protobuf's base-128 form."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
