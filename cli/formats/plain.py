"""Text from traces is other people's text: it must not steer a terminal, break a line or end a table cell."""

from __future__ import annotations

import unicodedata


def one_line(text: str) -> str:
    """*text* on one line, with control characters written out instead of obeyed."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _written(character) for character in text)


def cut(text: str, length: int) -> str:
    """The first *length* characters, marked if something is left out."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _written(character: str) -> str:
    if character in "\n\r\t":
        return " "
    if unicodedata.category(character) == "Zs":
        return " "
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
