"""Reads recordings: JSON files, plain or gzip, with errors that say where in the file something is wrong."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from pathlib import Path
from typing import Any

from driftline.errors import DriftlineError

_NAMES = {dict: "an object", list: "an array", str: "text", int: "a number", float: "a number", bool: "a boolean"}


class UnreadableRecording(DriftlineError):
    """A file is missing, no JSON, or not of the shape its importer reads; the message says where."""


def read_json(name: str) -> Any:
    """The JSON document in file *name*, plain or gzip; `-` is standard input.

    Raises:
        UnreadableRecording: it cannot be opened, or is no JSON; says at which line and column.
    """
    try:
        return json.loads(read_text(name))
    except json.JSONDecodeError as error:
        raise UnreadableRecording(
            f"{name}, line {error.lineno}, column {error.colno}: this is not JSON: {error.msg}",
            "is it the right file, and whole?",
        ) from error
    except RecursionError as error:
        raise UnreadableRecording(f"{name}: the JSON is nested too deeply", "is it the right file?") from error
    except ValueError as error:  # a number of thousands of digits
        raise UnreadableRecording(f"{name}: this is not JSON: {error}", "is it the right file?") from error


def read_lines(name: str) -> list[tuple[int, dict[str, Any]]]:
    """The JSON objects in file *name*, one a line, plain or gzip, each with the number of its line.

    Raises:
        UnreadableRecording: it cannot be opened, or a line is no JSON object.
    """
    found = []
    for number, line in enumerate(read_text(name).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableRecording(
                f"{name}, line {number}: this is not JSON: {error}", "each line must be one JSON object"
            ) from error
        if not isinstance(entry, dict):
            raise UnreadableRecording(f"{name}, line {number}: this is no object", "each line must be one JSON object")
        found.append((number, entry))
    return found


def read_text(name: str) -> str:
    """The text of file *name*, unpacked if it is gzip.

    Raises:
        UnreadableRecording: it cannot be opened, unpacked or decoded.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UnreadableRecording(f"{name} cannot be read: {error.strerror}", "check the path") from error
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableRecording(f"{name} is not valid gzip: {error}", "is it cut short?") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableRecording(
            f"{name}, byte {error.start}: this is not UTF-8 text", "is it the right file?"
        ) from error


def expect(value: Any, kind: type | tuple[type, ...], where: str, what: str) -> Any:
    """*value*, if it is of *kind*.

    Raises:
        UnreadableRecording: it is not; *where* says which value, *what* says what belongs there.
    """
    wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is int)
    if wrong:
        found = "nothing" if value is None else f"{_NAMES.get(type(value), 'a value')} {_short(value)}"
        raise UnreadableRecording(f"{where}: expected {what}, found {found}", "is it a recording of this kind?")
    return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
