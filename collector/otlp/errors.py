"""Requests that are not taken: each kind with the HTTP status and the google.rpc code that say so."""

from __future__ import annotations

from driftline.errors import DriftlineError

# google.rpc.Code
INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE = 3, 5, 8, 12, 14


class RefusedRequest(DriftlineError):
    """A request we do not take."""

    http, code = 400, INVALID_ARGUMENT


class UnreadableBody(RefusedRequest):
    """The body is not what its headers say."""


class UnsupportedEncoding(RefusedRequest):
    """A content type or content encoding we do not speak."""

    http = 415


class BodyTooLarge(RefusedRequest):
    """More bytes than we accept, after decompression."""

    http, code = 413, RESOURCE_EXHAUSTED


class WrongPlace(RefusedRequest):
    """A path or method that takes nothing."""

    http, code = 404, NOT_FOUND


class ShuttingDown(RefusedRequest):
    """The collector takes no more."""

    http, code = 503, UNAVAILABLE


class LogFull(RefusedRequest):
    """The write-ahead log has reached its limit or the disk is full."""

    http, code = 503, UNAVAILABLE
