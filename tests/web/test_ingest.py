"""The ingest panel says what matters and keeps quiet otherwise."""

from __future__ import annotations

from driftline.web.ingest import Fact, facts

CALM = {
    "received": 428, "acknowledged": 4838, "stored": 4838, "rejected": 0, "refused": {}, "log_bytes": 0,
    "waiting_segments": 0, "dead_letters": 0, "last_insert": 1795578297.1, "trouble": "",
}  # fmt: skip


def test_a_calm_collector_has_two_lines() -> None:
    """What is nothing is not shown, nor what only a machine reads."""
    assert (Fact("Requests", "428"), Fact("Spans acknowledged", "4\u202f838")) == facts(CALM)


def test_trouble_is_named_and_marked() -> None:
    """Refusals with their reasons, batches set aside, and what ails the store."""
    ailing = {**CALM, "trouble": "no space left"}
    said = facts(
        {**ailing, "refused": {"disk": 2, "log full": 0}, "dead_letters": 1, "newest_dead_letter": "7.refused"}
    )
    assert {fact.name: fact.text for fact in said if fact.bad} == {
        "Requests refused": "2 (disk)",
        "Batches set aside, refused by ClickHouse": "1 (the newest: 7.refused; see `driftline dead-letters list`)",
        "Trouble": "no space left",
    }


def test_without_a_collector_nothing_is_claimed() -> None:
    """Pages over a store alone know no counters."""
    assert facts({}) == ()
