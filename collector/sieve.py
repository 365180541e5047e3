"""Finds the requests of a batch that do not go in, on evidence: they fail while others go in.

What ClickHouse calls unparsable is to blame at once, if anything else goes in, be it a request of nothing. What fails
for want of memory, or takes the connection down with it, may be the store's own trouble: a request is to blame only
when that happened several times, and others were stored between.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from driftline.collector.records import Record
from driftline.collector.store.blame import blame
from driftline.collector.store.errors import BatchRefused

PATIENCE = 4  # tries of a batch after which it is looked at more closely
_STUBBORN = 3  # inserts that succeeded since its first failure: whatever the errors say, it may not be the store
_STRIKES = 10
_NOTHING = b"\0"  # a framed request without content


class SpanStore(Protocol):
    """Where batches go."""

    def insert_requests(self, framed: bytes, token: str, signal: str = "traces") -> None:
        """Insert a batch of one signal, whole or not at all; the same token twice adds nothing."""


@dataclass
class Case:
    """What is held against a batch: its failures, how many inserts had succeeded at the first, and the strikes."""

    tries: int = 0
    since: int = 0
    strikes: dict[str, tuple[int, int]] = field(default_factory=dict)  # part: how many, inserts at the last one


class Sieve:
    """Inserts batches into *store*; takes apart those that fail."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store
        self.passes = 0  # inserts that succeeded

    def insert(self, records: Sequence[Record], token: str, case: Case) -> list[tuple[Record, str]]:
        """Store *records*, all of one signal; returns those that are to blame for not going in, and what was said.

        Raises:
            Exception: nothing was decided; the whole should be tried again, under the same token.
        """
        if not case.tries:
            case.since = self.passes
        try:
            self._put(records, token)
        except Exception as error:
            if not self._is_clear(error, case) and not self._is_suspect(case):
                raise
            return self._sift(records, token, case, error)
        return []

    def _sift(self, records: Sequence[Record], token: str, case: Case, error: Exception) -> list[tuple[Record, str]]:
        """Store *records*, which together failed with *error*, by halves."""
        bad: dict[int, Exception] = {}
        doubtful: dict[int, Exception] = {}
        failed = [(0, len(records), error)]
        before = self.passes
        while failed:
            begin, end, failure = failed.pop()
            clear = self._is_clear(failure, case)
            if not clear and not (self._is_suspect(case) and self._takes_anything(records[0].signal)):
                raise failure
            if end - begin == 1:
                (bad if clear else doubtful)[begin] = failure
                if len(doubtful) > 1 and self.passes == before:
                    raise failure  # nothing at all goes in
                continue
            middle = (begin + end) // 2
            for first, last in ((begin, middle), (middle, end)):
                try:
                    # The same parts have the same tokens if a crash makes us do this again.
                    self._put(records[first:last], f"{token}-{first}-{last}")
                except Exception as again:  # noqa: BLE001 - looked at when its turn comes
                    failed.append((first, last, again))
        undecided = [failure for number, failure in doubtful.items() if not self._strike(case, f"{token}-{number}")]
        if undecided:
            raise undecided[0]
        bad.update(doubtful)
        if bad and self.passes == case.since and not self._takes_anything(records[0].signal):
            raise next(iter(bad.values()))
        return [(records[number], str(bad[number])) for number in sorted(bad)]

    def _put(self, records: Sequence[Record], token: str) -> None:
        self._store.insert_requests(b"".join(record.payload for record in records), token, records[0].signal)
        self.passes += 1

    def _is_clear(self, error: Exception, case: Case) -> bool:
        """Whether *error* blames what was sent."""
        return isinstance(error, BatchRefused) or (blame(error) == "unknown" and case.tries >= PATIENCE)

    def _is_suspect(self, case: Case) -> bool:
        """Whether a batch that fails as if the store were away should be looked at more closely.

        Not lightly: what an insert left in some tables when it failed is repeated under its token without a trace, but
        under the tokens of parts it is there twice until ClickHouse merges it, though no reader sees that.
        """
        others = self.passes - case.since
        return case.tries >= PATIENCE and (others >= _STUBBORN or case.tries >= 2 * PATIENCE)

    def _strike(self, case: Case, part: str) -> bool:
        """Hold one more failure of *part* against it, if others went in since the last; whether it is enough."""
        count, at = case.strikes.get(part, (0, case.since))
        if self.passes > at:
            count += 1
        case.strikes[part] = (count, self.passes)
        return count >= _STRIKES

    def _takes_anything(self, signal: str) -> bool:
        """Whether a request without content goes in."""
        try:
            self._store.insert_requests(_NOTHING, f"probe-{uuid.uuid4().hex}", signal)
        except Exception:  # noqa: BLE001 - that is the answer
            return False
        return True
