"""Calls, models and checks, each a context manager and a decorator: step, tool, llm, retrieval, validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from opentelemetry.trace import SpanKind

from driftline import attributes as at
from driftline._effect import Effect, Key, Targets, Texts, effect_word, listed
from driftline._handles import ModelHandle, ToolHandle, ValidationHandle
from driftline._operation import Operation, concept
from driftline._turns import Decorator, obligations, unit

_F = TypeVar("_F", bound=Callable[..., Any])


class _Model(Operation[ModelHandle]):
    handle_type = ModelHandle
    kind = SpanKind.CLIENT


class _Retrieval(Effect):
    kind = SpanKind.CLIENT


class _Validation(Operation[ValidationHandle]):
    handle_type = ValidationHandle

    def finish(self, handle: ValidationHandle, error: BaseException | None, result: Any) -> dict[str, Any]:
        if handle._has_said(at.VALIDATION_VERDICT):
            return {}
        if error is not None:
            return {at.VALIDATION_VERDICT: "fail" if isinstance(error, AssertionError) else "error"}
        return {at.VALIDATION_VERDICT: "fail" if result is False else "error" if handle._failed else "pass"}


@overload
def step(name: _F) -> _F: ...
@overload
def step(
    name: str,
    *,
    expects: Texts = (),
    uow: str | None = None,
    atomic: bool | None = None,
    call_id: str | None = None,
    effect: str | None = None,
) -> Operation[ToolHandle]: ...
@overload
def step(
    name: None = None,
    *,
    expects: Texts = (),
    uow: str | None = None,
    atomic: bool | None = None,
    call_id: str | None = None,
    effect: str | None = None,
) -> Decorator: ...
def step(name: Any = None, *, expects: Texts = (), uow: str | None = None, atomic: bool | None = None,
         call_id: str | None = None, effect: str | None = None) -> Any:  # fmt: skip
    """Any piece of work worth seeing; arguments as of `agent` and `tool`.

    Raises:
        ValueError: *effect* is none of the words of `tool`.
    """
    promises, word = obligations(expects), effect_word(effect)

    def make(called: str) -> Operation[ToolHandle]:
        attributes = {
            at.OPERATION: "step",
            at.STEP_NAME: called,
            at.CALL_ID: call_id,
            at.EXPECTS: promises,
            at.EFFECT: word,
            **unit(uow, atomic),
        }
        return Effect(called, f"step {called}", attributes)

    return concept(make, name)


@overload
def tool(name: _F) -> _F: ...
@overload
def tool(
    name: str,
    *,
    effect: str | None = None,
    idempotent: bool | None = None,
    key: Key | None = None,
    targets: Targets = (),
    compensates: str | None = None,
    used: Texts = (),
    call_id: str | None = None,
    tool_call_id: str | None = None,
) -> Operation[ToolHandle]: ...
@overload
def tool(
    name: None = None,
    *,
    effect: str | None = None,
    idempotent: bool | None = None,
    key: Key | None = None,
    targets: Targets = (),
    compensates: str | None = None,
    used: Texts = (),
    call_id: str | None = None,
    tool_call_id: str | None = None,
) -> Decorator: ...
def tool(name: Any = None, *, effect: str | None = None, idempotent: bool | None = None, key: Key | None = None,
         targets: Targets = (), compensates: str | None = None, used: Texts = (),
         call_id: str | None = None, tool_call_id: str | None = None) -> Any:  # fmt: skip
    """A tool call.

    A declared write that returns counts as applied, one that raises as unknown, one that raises `Refused` as refused,
    unless the handle says otherwise.

    Args:
        name: what the tool is called; by default as the decorated function.
        effect: `none`, `read`, `write` or `destructive`.
        idempotent: the receiver accepts a repeat and applies it once.
        key: the idempotency key; only its digest leaves the process. Of a decorated function also a function of the
            same arguments: `key=lambda order, cents: order`.
        targets: the entities acted on, e.g. `order/991`; likewise also a function of the arguments.
        compensates: the `call_id` of the call that this one undoes.
        used: the versions acted on, as memory handles give them.
        call_id: the logical call; by default the one of the attempt around it.
        tool_call_id: the id the model gave the call.

    Raises:
        ValueError: *effect* is another word.
    """
    fixed = {
        at.CALL_ID: call_id,
        at.TOOL_CALL_ID: tool_call_id,
        at.EFFECT: effect_word(effect),
        at.EFFECT_IDEMPOTENT: idempotent,
        at.EFFECT_COMPENSATES: compensates,
        at.EFFECT_USED: listed(used),
    }

    def make(called: str) -> Operation[ToolHandle]:
        attributes = {at.OPERATION: "execute_tool", at.TOOL: called, **fixed}
        return Effect(called, f"execute_tool {called}", attributes, key, targets)

    return concept(make, name)


def llm(model: str, *, provider: str | None = None, operation: str = "chat") -> Operation[ModelHandle]:
    """A model call; *operation*: another word of the GenAI conventions, e.g. `embeddings`."""
    return _Model(f"{operation} {model}", {at.OPERATION: operation, at.MODEL: model, at.PROVIDER: provider})


@overload
def retrieval(source: _F) -> _F: ...
@overload
def retrieval(source: str) -> Operation[ToolHandle]: ...
def retrieval(source: Any) -> Any:
    """A look-up in a data source that is not shared memory."""

    def make(called: str) -> Operation[ToolHandle]:
        return _Retrieval(called, f"retrieval {called}", {at.OPERATION: "retrieval", at.DATA_SOURCE: called})

    return concept(make, source)


@overload
def validation(name: _F) -> _F: ...
@overload
def validation(name: str, *, targets: Texts = ()) -> Operation[ValidationHandle]: ...
@overload
def validation(name: None = None, *, targets: Texts = ()) -> Decorator: ...
def validation(name: Any = None, *, targets: Texts = ()) -> Any:
    """A check of *targets*: references STORE/KEY@VERSION or `call:CALL_ID`.

    Without a verdict given it passes when it returns; it fails when the decorated function returns False or an
    assertion fails, and errs when anything else is raised.
    """
    looked_at = listed(targets)

    def make(called: str) -> Operation[ValidationHandle]:
        attributes = {at.OPERATION: "validate", at.VALIDATION_NAME: called, at.VALIDATION_TARGETS: looked_at}
        return _Validation(f"validate {called}", attributes)

    return concept(make, name)
