"""The part of the store that is looked at."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from driftline.analyzers.scope import Scope, expand


def test_moments_are_utc_whatever_zone_they_name() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
    east = noon.astimezone(timezone(timedelta(hours=9)))
    assert Scope(since=noon).params()["since"] == Scope(since=east).params()["since"] == "2026-01-01 12:00:00.000000"
    assert Scope(until=datetime(2026, 1, 1, 12)).params()["until"] == "2026-01-01 12:00:00.000000"  # noqa: DTZ001


def test_an_open_scope_reaches_from_the_first_to_the_last_moment() -> None:
    assert Scope().params() == {"since": "1970-01-01 00:00:00", "until": "2262-01-01 00:00:00", "traces": []}


def test_every_table_of_a_statement_is_narrowed_and_read_once_a_span() -> None:
    statement = expand("SELECT 1 FROM $steps JOIN $memory_ops USING trace_id")
    assert statement.count("FINAL WHERE") == 2
    assert "$" not in statement
