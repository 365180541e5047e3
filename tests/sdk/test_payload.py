"""Values on their way out: any value is made safe, content only leaves where the program allows it."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from recorded_spans import Recorded

import driftline
from driftline._payload import safe_value
from driftline._settings import settings
from driftline.canonical import digest


class Evil:
    """Fails at whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def model_dump(self, mode: str) -> Any:
        raise RuntimeError("no dump")


class Colour(str, enum.Enum):
    RED = "red"


class Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


def _cycle() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["again"] = value
    return value


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ("text", "text"),
        ("\ud800", "?"),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        (-(2**70), str(-(2**70))),
        (Colour.RED, "red"),
        (Shouting("soft"), "soft"),
        (b"bytes", "bytes"),
        (b"\xff", "\ufffd"),
        ({"b": 1, "a": [None]}, '{"a":[null],"b":1}'),
        ([1, 2], [1, 2]),
        ((1, "two"), ["1", "two"]),
        ([1, True], ["1", "True"]),
        ([None, "a"], ["", "a"]),
        ([[1], {"a": 2}], ["[1]", '{"a":2}']),
        ({"b", "a"}, ["a", "b"]),
        ([], []),
        (None, None),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_attributes_can_carry_it(value: Any, safe: Any) -> None:
    """Scalars stay, lists are of one type, everything else becomes text."""
    assert safe == safe_value(value)


def test_not_a_number_stays_a_number() -> None:
    """OTLP carries NaN and infinities."""
    assert math.isnan(safe_value(math.nan))
    assert math.inf == safe_value(math.inf)


def test_what_contains_itself_becomes_text() -> None:
    """A cycle ends in text, not in a RecursionError."""
    assert "again" in safe_value(_cycle())
    assert safe_value([_cycle()]) == ["{'again': {...}}"]


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(_anything)
def test_every_safe_value_can_be_encoded(value: Any) -> None:
    """Whatever was made safe fits into protobuf: a list of one scalar type, an int of 64 bits, text of UTF-8."""
    safe = safe_value(value)
    for element in safe if isinstance(safe, list) else [safe]:
        if isinstance(element, str):
            AnyValue(string_value=element)
        elif type(element) is int:
            AnyValue(int_value=element)
    if isinstance(safe, list):
        assert len({type(element) for element in safe}) <= 1


_EVERYWHERE: list[Callable[[Any], Any]] = [
    driftline.tool,
    driftline.run,
    lambda value: driftline.tool("t", targets=[value], used=[value], call_id=value),
    lambda value: driftline.tool("t", key=value, compensates=value, tool_call_id=value),
    lambda value: driftline.run("t", id=value, conversation=value, variant=value, parent_id=value),
    lambda value: driftline.agent("t", instance=value, uow=value, atomic=value),
    lambda value: driftline.llm("t", provider=value),
    lambda value: driftline.memory.read("t", "key", version=value),
    lambda value: driftline.memory.write("t", "key", epoch=value),
    lambda value: driftline.send("t", message_id=value),
    lambda value: driftline.validation("t", targets=[value]),
]
_BAD = [object(), math.nan, 2**80, "\ud800", b"\xff", _cycle(), [_cycle()], 10**5000]


@pytest.mark.parametrize("value", _BAD, ids=[type(value).__name__ for value in _BAD])
@pytest.mark.parametrize("make", _EVERYWHERE)
@pytest.mark.usefixtures("in_production")
def test_bad_values_never_raise_and_never_cost_the_span(
    make: Callable[[Any], Any], value: Any, spans: Recorded
) -> None:
    """In production a value nothing can be done with costs that value at most: the span is there and can be encoded."""
    with make(value) as handle:
        handle.set("any", value)
        handle.outcome(value)
        handle.fail(value)
    found = spans.all()
    assert len(found) == 1
    assert found[0].attributes["driftline.seq.end"] == found[0].attributes["driftline.seq"] + 1
    encode_spans(found).SerializeToString()


@pytest.mark.usefixtures("in_production")
def test_a_value_that_fails_when_read_costs_itself_only(spans: Recorded) -> None:
    """An object whose `__str__` raises is replaced by its type's name."""

    @driftline.tool(effect="write")
    def act(thing: Any) -> Any:
        return thing

    act(Evil())
    with driftline.tool("other", targets=["a"]) as call:
        call.set("thing", Evil())
        call.outcome(Evil())  # type: ignore[arg-type]
        call.arguments(Evil())
        call.used(Evil())  # type: ignore[arg-type]
    assert spans.said("execute_tool act")["driftline.effect.outcome"] == "applied"
    assert spans.said("execute_tool other")["thing"] == "<unreadable Evil>"


def test_our_failures_show_under_test(spans: Recorded) -> None:
    """Under pytest the same failure is raised, so that a test suite finds it."""
    with driftline.tool("t") as call, pytest.raises(RuntimeError, match="no text"):
        call.set("thing", Evil())


def _book(seats: list[int], note: str = "") -> dict[str, Any]:
    return {"ok": True, "note": note}


def test_digests_by_default(spans: Recorded) -> None:
    """Digests of arguments and result are sent, content is not."""
    driftline.tool(_book)([1, 2])
    said = spans.said("execute_tool _book")
    assert digest({"seats": [1, 2], "note": ""}) == said["driftline.call.args_digest"]
    assert digest({"ok": True, "note": ""}) == said["driftline.call.result_digest"]
    assert not any(key.startswith("gen_ai.tool.call.") for key in said)


def test_content_in_full(spans: Recorded) -> None:
    """With full capture content is sent too, as JSON text whose digest is the digest sent."""
    settings.capture = "full"
    driftline.tool(_book)([1, 2], note="ü")
    said = spans.said("execute_tool _book")
    assert json.loads(said["gen_ai.tool.call.arguments"]) == {"seats": [1, 2], "note": "ü"}
    assert digest(said["gen_ai.tool.call.arguments"]) == said["driftline.call.args_digest"]
    assert digest(said["gen_ai.tool.call.result"]) == said["driftline.call.result_digest"]


def test_nothing_when_off(spans: Recorded) -> None:
    """With capture off neither content nor digests leave."""
    settings.capture = "off"
    driftline.tool(_book)([1, 2])
    assert not any("digest" in key or "tool.call" in key for key in spans.said("execute_tool _book"))


def test_long_content_says_that_it_is_cut(spans: Recorded) -> None:
    """Content beyond the limit ends in a mark that says how much is missing; the digest is of the whole."""
    settings.capture, settings.limit = "full", 100
    driftline.tool(_book)([], note="x" * 500)
    said = spans.said("execute_tool _book")
    text = said["gen_ai.tool.call.arguments"]
    assert text.startswith('{"note":"xxx')
    assert text.endswith("…[truncated 422 chars]")
    assert digest({"seats": [], "note": "x" * 500}) == said["driftline.call.args_digest"]


def test_any_long_text_is_cut(spans: Recorded) -> None:
    """The limit holds for whatever the program sets."""
    settings.limit = 10
    with driftline.step("s") as step:
        step.set("note", "y" * 30)
        step.set("notes", ["y" * 30])
    assert spans.said("step s")["note"] == "yyyyyyyyyy…[truncated 20 chars]"
    assert spans.said("step s")["notes"] == ["yyyyyyyyyy…[truncated 20 chars]"]


def test_equal_calls_have_equal_digests(spans: Recorded) -> None:
    """Positional, by keyword, in any order, defaults given or not: one call, one digest."""

    @driftline.tool("book")
    def book(order: str, cents: int = 5, *, note: str = "") -> None: ...

    book("a")
    book("a", 5)
    book(cents=5, order="a")
    book("a", note="", cents=5)
    assert len({span.attributes["driftline.call.args_digest"] for span in spans.all()}) == 1


def test_open_ended_signatures_are_read_too(spans: Recorded) -> None:
    """`*args` and `**kwargs` are arguments like others, under their names."""

    @driftline.tool("any")
    def take(first: int, /, *rest: int, **named: int) -> None: ...

    take(1, 2, 3, x=4)
    assert (
        digest({"first": 1, "rest": [2, 3], "named": {"x": 4}})
        == spans.said("execute_tool any")["driftline.call.args_digest"]
    )


def test_a_value_without_stable_form_has_no_digest(spans: Recorded) -> None:
    """No digest is better than one over an object's address."""
    driftline.tool("t")(lambda thing: thing)(object())
    said = spans.said("execute_tool t")
    assert "driftline.call.args_digest" not in said
    assert "driftline.call.result_digest" not in said
