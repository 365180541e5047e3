"""Handles: what a block says of its span, and what follows where it says nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from recorded_spans import Recorded

import driftline


def test_handles_after_the_end(spans: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    """They say nothing more, raise nothing, and log one line."""
    with driftline.tool("t", effect="write") as call:
        pass
    call.set("late", 1)
    call.refused("late")
    call.result("late")
    call.fail("late")
    said = spans.said("execute_tool t")
    assert "late" not in said
    assert said["driftline.effect.outcome"] == "applied"
    assert len(caplog.records) == 1
    assert "after its span had ended" in caplog.text
    assert call.span_context == spans.one("execute_tool t").context


def test_effects_that_went_unsaid(spans: Recorded) -> None:
    """A declared write that returns is applied; reads and undeclared calls claim nothing."""

    def act() -> None: ...

    driftline.tool("w", effect="write")(act)()
    driftline.tool("d", effect="destructive")(act)()
    driftline.step("s", effect="write")(act)()
    driftline.tool("r", effect="read")(act)()
    driftline.tool("n")(act)()
    outcomes = [span.attributes.get("driftline.effect.outcome") for span in spans.all()]
    assert outcomes == ["applied", "applied", "applied", None, None]


def _say(word: str) -> Callable[[driftline.ToolHandle], None]:
    return lambda call: getattr(call, word)()


@pytest.mark.parametrize("word", ["applied", "refused", "unknown"])
def test_effects_said(word: str, spans: Recorded) -> None:
    """What the handle says stands, however the call ends."""
    with driftline.tool("t", effect="write") as call:
        _say(word)(call)
    with pytest.raises(RuntimeError), driftline.tool("u", effect="write") as call:
        _say(word)(call)
        raise RuntimeError
    assert word == spans.said("execute_tool t")["driftline.effect.outcome"]
    assert word == spans.said("execute_tool u")["driftline.effect.outcome"]


def test_a_call_marked_as_failed_is_not_applied(spans: Recorded) -> None:
    """Whether it took place cannot be told from a failure alone."""
    with driftline.tool("t", effect="write") as call:
        call.fail("half done")
    assert spans.said("execute_tool t")["driftline.effect.outcome"] == "unknown"
    assert spans.one("execute_tool t").status.description == "half done"


def test_call_id_for_a_compensation(spans: Recorded) -> None:
    """A call has an id when one is asked for, always the same; one given is kept."""
    with driftline.tool("book") as booking:
        assert booking.call_id == booking.call_id
    with driftline.tool("cancel", compensates=booking.call_id, call_id="mine") as cancel:
        assert cancel.call_id == "mine"
    assert (
        spans.said("execute_tool cancel")["driftline.effect.compensates"]
        == spans.said("execute_tool book")["driftline.call.id"]
    )


@pytest.mark.parametrize(
    ("check", "verdict"),
    [(lambda: None, "pass"), (lambda: True, "pass"), (lambda: False, "fail"), (lambda: 0, "pass")],
)
def test_verdicts_of_functions(check: Callable[[], Any], verdict: str, spans: Recorded) -> None:
    """A check that returns False has failed; any other return is a pass."""
    driftline.validation("v")(check)()
    assert verdict == spans.said("validate v")["driftline.validation.verdict"]


def test_verdicts_of_exceptions(spans: Recorded) -> None:
    """A failed assertion is a verdict, any other exception a check that could not be made."""
    with pytest.raises(AssertionError), driftline.validation("a"):
        raise AssertionError
    with pytest.raises(RuntimeError), driftline.validation("b"):
        raise RuntimeError
    with driftline.validation("c") as check:
        check.fail("wrong total")
    verdicts = [span.attributes["driftline.validation.verdict"] for span in spans.all()]
    assert verdicts == ["fail", "error", "fail"]
    assert spans.one("validate c").status.is_unset
    assert [event.name for event in spans.one("validate c").events] == ["wrong total"]
