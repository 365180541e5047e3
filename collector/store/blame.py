"""Whom an insert's failure blames, told by ClickHouse's name for it: the bytes, the size of the batch, or the store."""

from __future__ import annotations

import re
from typing import Literal

Blame = Literal["bytes", "size", "store", "unknown"]

# "These bytes are not what you told me": trying again would not help.
_BYTES = re.compile(
    r"CANNOT_PARSE|CANNOT_READ_ALL_DATA|INCORRECT_DATA|PROTOBUF|ATTEMPT_TO_READ_AFTER_EOF|UNEXPECTED_END_OF_FILE"
    r"|TOO_LARGE|BAD_ARGUMENTS|DECIMAL_OVERFLOW|VALUE_IS_OUT_OF_RANGE"
)
# "Too much at once": a smaller batch may go in.
_SIZE = re.compile(r"MEMORY|TIMEOUT_EXCEEDED|TOO_SLOW|TOO_MANY_(ROWS|BYTES|PARTITIONS)|LIMIT_EXCEEDED")
# "Not now": the disk, the network, rights, the schema, a server that starts or ends. No other batch would go in either.
_STORE = re.compile(
    r"SOCKET|NETWORK|CONNECTION|TOO_MANY_PARTS|TOO_MANY_SIMULTANEOUS|READ_?ONLY|SPACE|CANNOT_(WRITE|OPEN|FSYNC|CREATE"
    r"|CLOSE|TRUNCATE|READ_FROM|STATVFS|SCHEDULE|ASSIGN)|ACCESS|AUTHENTICATION|PASSWORD|USER|QUOTA|UNKNOWN_(?!PROTOBUF)|TABLE_IS"
    r"|ABORTED|SHUTDOWN|KEEPER|QUORUM|CANCELLED|OVERLOADED|DISK|S3_|REPLICA|NO_SUCH|NOT_INITIALIZED|THREAD|DEADLOCK"
)
# The name of the error stands in brackets behind the message; the message itself may quote what was sent.
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")


def blame(error: BaseException) -> Blame:
    """Whom *error*, raised by an insert, blames. What is not ClickHouse's own word (no connection) blames the store."""
    named = _NAME.findall(str(error))
    name = getattr(error, "name", None) or (named[-1] if named else "")
    if not isinstance(name, str) or not name or _STORE.search(name):
        return "store"
    if _SIZE.search(name):
        return "size"
    return "bytes" if _BYTES.search(name) else "unknown"
