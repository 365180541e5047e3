"""Content encodings, undone within bounds: a few bytes may unpack to very many."""

from __future__ import annotations

import gzip
import io
import zlib

import zstandard

from driftline.collector.otlp.errors import BodyTooLarge, UnreadableBody, UnsupportedEncoding

MAX_BODY = 64 * 1024 * 1024
ENCODINGS = ("identity", "gzip", "deflate", "zstd")

_ZSTD_WINDOW = 128 * 2**20  # bytes a frame may make us remember; the format's own recommendation is 8 MiB
_PIECE = 1024  # bytes unpacked at once: the library bounds what goes in, not what comes out


def decompress(body: bytes, encoding: str, limit: int = MAX_BODY) -> bytes:
    """Undo the content encoding, never producing more than *limit* bytes.

    Raises:
        UnsupportedEncoding: none of `ENCODINGS`, or several at once.
        BodyTooLarge: it unpacks to more than *limit*.
        UnreadableBody: it is corrupt or cut short.
    """
    word = encoding.strip().lower()
    if word in ("", "identity"):
        data = body
    elif word in ("gzip", "x-gzip", "deflate", "zstd"):
        try:
            data = _unzstd(body, limit + 1) if word == "zstd" else _inflate(body, limit + 1, word)
        except EOFError as error:
            raise UnreadableBody(f"the {word} body is cut short", "send it whole") from error
        except (zlib.error, zstandard.ZstdError) as error:
            raise UnreadableBody(f"the body is not valid {word}: {error}", "check Content-Encoding") from error
    else:
        raise UnsupportedEncoding(
            f"content encoding {encoding[:100]!r} is not supported", f"use one of {', '.join(ENCODINGS)}"
        )
    if len(data) > limit:
        raise BodyTooLarge(f"the body is larger than {limit // 2**20} MiB", "send smaller batches")
    return data


def gunzip(data: bytes) -> bytes:
    """A whole gzip file.

    Raises:
        UnreadableBody: it is corrupt or cut short.
    """
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableBody(f"the file is not valid gzip: {error}", "is it cut short?") from error


def _inflate(body: bytes, limit: int, word: str) -> bytes:
    """Unpack gzip (of one member or several), zlib data, or what some call deflate: the same without its wrapping."""
    try:
        return _members(body, limit, zlib.MAX_WBITS | 32)
    except zlib.error:
        if word != "deflate":
            raise
        return _members(body, limit, -zlib.MAX_WBITS)


def _members(body: bytes, limit: int, wbits: int) -> bytes:
    parts, room = [], limit
    while True:
        unpacker = zlib.decompressobj(wbits)
        part = unpacker.decompress(body, room)
        parts.append(part)
        room -= len(part)
        if room <= 0:
            break
        if not unpacker.eof:
            raise EOFError
        body = unpacker.unused_data
        if not body:
            break
    return b"".join(parts)


def _unzstd(body: bytes, limit: int) -> bytes:
    """Unpack zstd frames, one or several, with or without their size in the header."""
    parts, room, source = [], limit, io.BytesIO(body)
    unpacker = None
    while room > 0 and (piece := source.read(_PIECE)):
        while piece and room > 0:
            unpacker = unpacker or zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
            part = unpacker.decompress(piece)
            parts.append(part[:room])
            room -= len(part)
            piece, unpacker = (unpacker.unused_data, None) if unpacker.eof else (b"", unpacker)
    if room > 0 and (unpacker is not None or not body):
        raise EOFError
    return b"".join(parts)
