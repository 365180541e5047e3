"""A real server killed under load: every span that was acknowledged is there afterwards, once."""

from __future__ import annotations

import os

import pytest
from crashing import crash

KILLS = 20


@pytest.mark.e2e
def test_what_was_acknowledged_survives_kills() -> None:
    """SIGKILL under load, amid merges, amid the migrations of new folders, while a start reads the log.

    `make crash` does it 200 times. Rows are counted on disk, without FINAL: a request that is sent again after the kill
    that swallowed its answer, and a segment that is inserted again, add no second copy either.
    """
    found = crash(KILLS, seed=int.from_bytes(os.urandom(4), "big"))
    print(found)
    assert found.unclean == []
    assert (found.lost, found.duplicated) == (0, 0)
    assert found.total >= KILLS
    assert found.found >= found.acknowledged > 0
