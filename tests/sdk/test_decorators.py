"""Concepts as decorators: bare, called and named, on every kind of callable, which stays what it was."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
import itertools
import pickle
from typing import Any

import pytest
from opentelemetry import trace
from recorded_spans import Recorded

import driftline
from driftline.canonical import digest


def _current() -> str:
    """The name of the current span."""
    return getattr(trace.get_current_span(), "name", "")


@pytest.mark.parametrize(
    ("concept", "prefix"),
    [
        (driftline.run, "invoke_workflow"),
        (driftline.agent, "invoke_agent"),
        (driftline.step, "step"),
        (driftline.tool, "execute_tool"),
        (driftline.validation, "validate"),
    ],
)
def test_bare_called_and_named(concept: Any, prefix: str, spans: Recorded) -> None:
    """`@tool`, `@tool()` and `@tool("name")`; the first two take the function's name."""

    @concept
    def bare() -> str:
        return _current()

    @concept()
    def called() -> str:
        return _current()

    @concept("other")
    def named() -> str:
        return _current()

    inside = [bare(), called(), named()]
    assert [f"{prefix} bare", f"{prefix} called", f"{prefix} other"] == inside == spans.names
    assert _current() == ""


def test_concepts_that_need_a_name(spans: Recorded) -> None:
    """Those decorate too."""
    for decorate in (
        driftline.llm("m"),
        driftline.retrieval("r"),
        driftline.memory.read("s", "k"),
        driftline.memory.write("s", "k"),
        driftline.memory.delete("s", "k"),
        driftline.memory.search("s"),
        driftline.send("q"),
        driftline.receive("q", {}),
    ):
        assert decorate(_current)() != ""
    assert spans.names == [
        "chat m", "retrieval r", "read_memory s", "update_memory s", "delete_memory s", "search_memory s", "send q",
        "process q",
    ]  # fmt: skip


def test_bare_retrieval(spans: Recorded) -> None:
    """Its source may be the function's name."""

    @driftline.retrieval
    def handbook(query: str) -> list[str]:
        return [query]

    handbook("q")
    said = spans.said("retrieval handbook")
    assert digest({"query": "q"}) == said["driftline.call.args_digest"]
    assert digest(["q"]) == said["driftline.call.result_digest"]


def test_a_function_stays_what_it_was() -> None:
    """Name, documentation, signature and kind are those of the function."""

    @driftline.tool
    def plain(a: int, *, b: str = "") -> str:
        """Says something."""
        return b * a

    @driftline.tool
    async def coroutine() -> None: ...

    @driftline.tool
    def generator() -> Any:
        yield

    @driftline.tool
    async def async_generator() -> Any:
        yield

    assert (plain.__name__, plain.__doc__) == ("plain", "Says something.")
    assert str(inspect.signature(plain)) == "(a: 'int', *, b: 'str' = '') -> 'str'"
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)


@driftline.tool
def at_module_level(n: int) -> int:
    """To be pickled by its name."""
    return n


def test_a_decorated_function_can_be_pickled(spans: Recorded) -> None:
    """As process pools need it."""
    qualified = at_module_level.__module__, at_module_level.__qualname__
    assert (__name__, "at_module_level") == qualified
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, __name__, inspect.getmodule(at_module_level) or _this_module())
        assert at_module_level is pickle.loads(pickle.dumps(at_module_level))


def _this_module() -> Any:
    module = type(inspect)(__name__)
    module.__dict__.update(globals())
    return module


def test_call_site_of_a_decorated_function(spans: Recorded) -> None:
    """It is the place of its definition: file relative to the working folder, first line, qualified name."""
    at_module_level(1)
    said = spans.said("execute_tool at_module_level")
    assert said["code.file.path"] == "tests/sdk/test_decorators.py"
    assert inspect.unwrap(at_module_level).__code__.co_firstlineno == said["code.line.number"]
    assert said["code.function.name"] == "at_module_level"


def test_call_site_of_a_block(spans: Recorded) -> None:
    """It is the line of the `with`, in the first frame that is the program's, also through an ExitStack."""
    import contextlib
    import sys

    here = sys._getframe().f_lineno
    with driftline.step("direct"):
        pass
    with contextlib.ExitStack() as stack:
        stack.enter_context(driftline.step("stacked"))

    async def main() -> None:
        async with driftline.step("asynchronous"):
            pass

    asyncio.run(main())
    own = sys._getframe().f_code.co_qualname if sys.version_info >= (3, 11) else "test_call_site_of_a_block"
    for name, line, function in (("direct", 1, own), ("stacked", 4, own), ("asynchronous", 7, None)):
        said = spans.said(f"step {name}")
        assert ("tests/sdk/test_decorators.py", here + line) == (said["code.file.path"], said["code.line.number"])
        assert function in (None, said["code.function.name"])
    assert spans.said("step asynchronous")["code.function.name"].endswith("main")


class Clerk:
    """A class of tools."""

    name = "clerk"

    @driftline.tool
    def method(self, order: str) -> str:
        return f"{self.name} {order} {_current()}"

    @driftline.tool
    @classmethod
    def below(cls, order: str) -> str:
        return f"{cls.name} {order} {_current()}"

    @classmethod
    @driftline.tool
    def above(cls, order: str) -> str:
        return f"{cls.name} {order} {_current()}"

    @driftline.tool("static")
    @staticmethod
    def loose(order: str) -> str:
        return f"{order} {_current()}"

    @driftline.step
    async def later(self, order: str) -> str:
        return f"{self.name} {order} {_current()}"


def test_methods(spans: Recorded) -> None:
    """Instance, class and static methods, decorated above or below; `self` and `cls` are no arguments."""
    assert Clerk().method("1") == "clerk 1 execute_tool method"
    assert "clerk 1 execute_tool below" == Clerk.below("1") == Clerk().below("1")
    assert Clerk.above("1") == "clerk 1 execute_tool above"
    assert "1 execute_tool static" == Clerk.loose("1") == Clerk().loose("1")
    assert asyncio.run(Clerk().later("1")) == "clerk 1 step later"
    assert {digest({"order": "1"})} == {span.attributes["driftline.call.args_digest"] for span in spans.all()}


@dataclasses.dataclass
class Counter:
    """A dataclass with a traced method."""

    count: int = 0

    @driftline.tool
    def add(self, n: int = 1) -> int:
        self.count += n
        return self.count


def test_dataclasses(spans: Recorded) -> None:
    """Their methods are traced, their equality and repr stay."""
    counter = Counter()
    assert counter.add(2) == 2
    assert Counter(2) == counter
    assert digest({"n": 2}) == spans.said("execute_tool add")["driftline.call.args_digest"]


def test_bound_methods_and_partials(spans: Recorded) -> None:
    """What is bound is not lost: two partials of one function are two different calls."""

    def book(seat: str, note: str = "") -> str:
        return seat

    assert driftline.tool(functools.partial(book, "a"))() == "a"
    assert driftline.tool(functools.partial(book, "b"))() == "b"
    assert driftline.tool("keyword")(functools.partial(book, seat="c"))() == "c"
    driftline.tool(Clerk().loose)("1")
    digests = [span.attributes["driftline.call.args_digest"] for span in spans.all() if span.name.endswith("book")]
    assert [digest({"seat": "a", "note": ""}), digest({"seat": "b", "note": ""})] == digests
    assert digest({"seat": "c", "note": ""}) == spans.said("execute_tool keyword")["driftline.call.args_digest"]


def test_partial_of_a_coroutine_function(spans: Recorded) -> None:
    """Its span covers the work, not the making of the coroutine."""

    async def work(n: int) -> str:
        await asyncio.sleep(0)
        return _current()

    assert asyncio.run(driftline.tool(functools.partial(work, 1))()) == "execute_tool work"


class Callables:
    """An object that is called like a function."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    async def __call__(self, n: int) -> str:
        await asyncio.sleep(0)
        return self.answer + _current()


def test_callable_objects(spans: Recorded) -> None:
    """They are named after their class, and an async `__call__` is awaited inside of the span."""
    assert asyncio.run(driftline.tool(Callables("x "))(1)) == "x execute_tool Callables"
    assert digest({"n": 1}) == spans.said("execute_tool Callables")["driftline.call.args_digest"]


def test_built_in_functions(spans: Recorded) -> None:
    """Some say nothing of their arguments; they are traced all the same."""
    assert driftline.tool(max)(1, 3) == 3
    assert digest(3) == spans.said("execute_tool max")["driftline.call.result_digest"]


def test_a_class_cannot_be_decorated() -> None:
    """It would no longer be a class."""
    with pytest.raises(TypeError, match="decorate its methods"):
        driftline.tool(Counter)


def test_an_unnamed_concept_is_no_block() -> None:
    """`with tool():` has no name to show; Python says so."""
    with pytest.raises((TypeError, AttributeError)), driftline.tool():  # type: ignore[attr-defined]
        pass


def test_stacked_decorators(spans: Recorded) -> None:
    """A tool in a step: two spans, one inside the other, both at the function's place."""

    @driftline.step
    @driftline.tool
    def both() -> str:
        return _current()

    assert both() == "execute_tool both"
    tool, step = spans.one("execute_tool both"), spans.one("step both")
    assert tool.parent is not None
    assert step.context.span_id == tool.parent.span_id
    assert tool.attributes["code.line.number"] == step.attributes["code.line.number"]


def test_recursion(spans: Recorded) -> None:
    """Each level is a span inside the one above."""

    @driftline.tool
    def countdown(n: int) -> int:
        return countdown(n - 1) if n else 0

    countdown(3)
    found = spans.all()
    assert len(found) == 4
    for inner, outer in itertools.pairwise(found):
        assert inner.parent is not None
        assert outer.context.span_id == inner.parent.span_id


def test_reentrance(spans: Recorded) -> None:
    """One operation, entered inside itself, is two spans; each exit ends its own."""
    again = driftline.step("s")
    with again as outer, again as inner:
        outer.set("which", "outer")
        inner.set("which", "inner")
    inner_span, outer_span = spans.all()
    assert (inner_span.attributes["which"], outer_span.attributes["which"]) == ("inner", "outer")
    assert inner_span.parent is not None
    assert outer_span.context.span_id == inner_span.parent.span_id
