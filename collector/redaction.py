"""Redaction in the store: which rules are in force, with which key, and the views that apply them.

The rules stand in the store itself, so that whoever opens it next (an import, a replay) installs the same views. The
key of the hashes does not: it lies in the data folder, and in the views only inside a function whose arguments
ClickHouse hides from its logs and from `SHOW CREATE`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from driftline._redaction_language import InvalidRedaction
from driftline._redaction_rules import Rule, parse_rules, to_json
from driftline.collector.redaction_sql import KEY, RedactionSql, quoted
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftline.collector.store import Store

KEY_FILE = "redaction.key"
_VARIABLE = "DRIFTLINE_REDACTION_KEY"


class RedactionKeyMissing(DriftlineError):
    """The views must be made anew, and the key that their hashes are made with is not here."""


@dataclass(frozen=True)
class Redaction:
    """*rules* and the *key* of their hashes, where it is known; *key_id* tells keys apart. No rules: no redaction."""

    rules: tuple[Rule, ...] = ()
    key: str = field(default="", repr=False)
    key_id: str = ""

    def __bool__(self) -> bool:
        return bool(self.rules)

    @cached_property
    def sql(self) -> RedactionSql:
        """The rules as ClickHouse expressions."""
        return RedactionSql(self.rules)

    def of_project(self, name: str) -> Redaction:
        """The part that counts in project *name*."""
        return replace(self, rules=tuple(rule for rule in self.rules if not rule.projects or name in rule.projects))

    def rendered(self, statement: str, store: Store) -> str:
        """*statement* with the key in it, in a form that ClickHouse does not show again.

        Raises:
            RedactionKeyMissing: it is not known here.
        """
        if KEY not in statement:
            return statement
        if not self.key:
            raise RedactionKeyMissing(
                "the store redacts what it is sent, and its views must be made anew",
                f"open it where its {KEY_FILE} lies, with `driftline up`, or put the key into {_VARIABLE}",
            )
        cipher, vector = secrets.token_hex(16), secrets.token_hex(8)
        hidden = store.value(
            f"SELECT hex(encrypt('aes-256-ctr', unhex('{_pads(self.key).hex()}'), '{cipher}', '{vector}'))"
        )
        return statement.replace(KEY, f"decrypt('aes-256-ctr', unhex('{hidden}'), '{cipher}', '{vector}')")


def wanted(rules: Sequence[Rule], folder: Path) -> Redaction:
    """What `driftline up` on *folder* is told to do; its key is made when it is first needed."""
    return with_key(tuple(rules), find_key(folder) or (_new_key(folder) if rules else ""))


def with_key(rules: tuple[Rule, ...], key: str) -> Redaction:
    """*rules* with a known key."""
    return Redaction(rules, key, hashlib.sha256(key.encode()).hexdigest()[:16] if key else "")


def find_key(folder: Path | None) -> str:
    """The key in the environment, else in *folder*; '' where there is none.

    Raises:
        InvalidRedaction: it is too short to be one.
    """
    said, where = os.environ.get(_VARIABLE, "").strip(), _VARIABLE
    if not said and folder is not None and (folder / KEY_FILE).is_file():
        said, where = (folder / KEY_FILE).read_text(encoding="utf-8").strip(), str(folder / KEY_FILE)
        if not said:
            raise InvalidRedaction(f"{where} is empty", "restore it, or delete it for a new key")
    if said and len(said) < 32:
        raise InvalidRedaction(f"the key in {where} is shorter than 32 characters", "use `openssl rand -hex 32`")
    return said


def settle(store: Store, told: Redaction | None, folder: Path | None) -> Redaction:
    """The redaction of *store* from now on: what it is *told*, else what it was told before.

    Raises:
        InvalidRedaction: ClickHouse cannot read a pattern.
    """
    before = _in_force(store)
    if told is None:
        key = find_key(folder) if before else ""
        found = with_key(before.rules, key)
        # A key of some other store is none: hashes would no longer be comparable with those there are.
        return found if found.key_id == before.key_id else before
    if _same(told, before):
        return told
    for rule in told.rules:
        for regex in rule.patterns:
            _try(store, regex.re2)
    rules = json.dumps(to_json(told.rules), ensure_ascii=False)
    store.insert_rows("redaction", ["rules", "key_id"], [[rules, told.key_id]])
    return told


def _in_force(store: Store) -> Redaction:
    rows = store.rows("SELECT rules, key_id FROM redaction ORDER BY set_at DESC LIMIT 1")
    if not rows:
        return Redaction()
    return Redaction(parse_rules(json.loads(rows[0]["rules"]), "the store"), "", rows[0]["key_id"])


def _same(one: Redaction, other: Redaction) -> bool:
    return to_json(one.rules) == to_json(other.rules) and (one.key_id == other.key_id or not one.rules)


def _try(store: Store, pattern: str) -> None:
    from clickhouse_connect.driver.exceptions import DatabaseError

    try:
        store.value(f"SELECT match('', {quoted('(?-s)(' + pattern + ')')})")
    except DatabaseError as error:
        raise InvalidRedaction(
            f"redact: ClickHouse cannot read the pattern {pattern!r}: {str(error).splitlines()[0][:300]}",
            "write it in RE2's syntax",
        ) from error


def _new_key(folder: Path) -> str:
    """A new key, in a file that only its owner may read."""
    key = secrets.token_hex(32)
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def _pads(key: str) -> bytes:
    """HMAC's inner and outer pad, 64 bytes each."""
    block = key.encode()
    block = (hashlib.sha256(block).digest() if len(block) > 64 else block).ljust(64, b"\0")
    return bytes(byte ^ 0x36 for byte in block) + bytes(byte ^ 0x5C for byte in block)
