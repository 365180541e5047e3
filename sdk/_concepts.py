"""The concepts of an agent system, each a context manager and a decorator: run, agent, step, tool, llm, …"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, overload

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from driftline import _scope
from driftline import attributes as at
from driftline._attempts import outside_attempt
from driftline._effect import Effect, Key, Targets, Texts, effect_word, listed
from driftline._guard import strict, warn_once
from driftline._handles import AgentHandle, ModelHandle, ToolHandle, ValidationHandle
from driftline._operation import Operation, concept
from driftline._payload import text_of

_F = TypeVar("_F", bound=Callable[..., Any])
_OBLIGATION = re.compile(r"(tool|step|agent|validate|send):.+")


class Decorator(Protocol):
    """What a concept without a name gives: a decorator that keeps the signature."""

    def __call__(self, function: _F) -> _F: ...


class _Turn(Operation[AgentHandle]):
    """Something long, that makes its own decisions: a crash in it must leave a trace, a retry is not of its calls."""

    handle_type = AgentHandle
    announces = True

    def __init__(self, name: str, attributes: Mapping[str, Any], scope: Mapping[str, Any]) -> None:
        super().__init__(name, attributes)
        self._scope = _given(scope)

    def scope(self, base: Context) -> Mapping[str, str]:  # noqa: ARG002
        return self._scope

    def inside(self, context: Context) -> Context:
        return outside_attempt(context)


class _Run(_Turn):
    def scope(self, base: Context) -> Mapping[str, str]:  # noqa: ARG002
        """Each entry without an id of its own is another run."""
        return {at.RUN_ID: str(uuid.uuid4()), **self._scope}

    def begin(self, base: Context, call: object) -> Mapping[str, Any]:  # noqa: ARG002
        outer = _scope.current_run(base)
        own = self._scope.get(at.RUN_ID)
        known = at.RUN_PARENT_ID in self.attributes or not outer or outer == own
        return {} if known else {at.RUN_PARENT_ID: outer}


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
def run(workflow: _F) -> _F: ...
@overload
def run(
    workflow: str,
    *,
    id: str | None = None,
    parent_id: str | None = None,
    expects: Texts = (),
    conversation: str | None = None,
    variant: str | None = None,
) -> Operation[AgentHandle]: ...
@overload
def run(
    workflow: None = None,
    *,
    id: str | None = None,
    parent_id: str | None = None,
    expects: Texts = (),
    conversation: str | None = None,
    variant: str | None = None,
) -> Decorator: ...
def run(workflow: Any = None, *, id: str | None = None, parent_id: str | None = None,  # noqa: A002
        expects: Texts = (), conversation: str | None = None, variant: str | None = None) -> Any:  # fmt: skip
    """One run of a workflow.

    Args:
        workflow: its name.
        id: the id of the run, where something else gave it one; else each entry makes a new one.
        parent_id: the run that started this one, if it is not the run around it.
        expects: what the run promises to do, e.g. `["tool:charge*2", "agent:reviewer"]`.
        conversation: the conversation it belongs to.
        variant: prompt, model or graph variant, if it differs from the process's.
    """
    promises = obligations(expects)

    def make(called: str) -> Operation[AgentHandle]:
        attributes = {
            at.OPERATION: "invoke_workflow",
            at.WORKFLOW: called,
            at.RUN_PARENT_ID: parent_id,
            at.EXPECTS: promises,
        }
        scope = {at.RUN_ID: id, at.CONVERSATION: conversation, at.VARIANT: variant}
        return _Run(f"invoke_workflow {called}", attributes, scope)

    return concept(make, workflow)


@overload
def agent(name: _F) -> _F: ...
@overload
def agent(
    name: str,
    *,
    instance: str | None = None,
    conversation: str | None = None,
    expects: Texts = (),
    uow: str | None = None,
    atomic: bool | None = None,
) -> Operation[AgentHandle]: ...
@overload
def agent(
    name: None = None,
    *,
    instance: str | None = None,
    conversation: str | None = None,
    expects: Texts = (),
    uow: str | None = None,
    atomic: bool | None = None,
) -> Decorator: ...
def agent(name: Any = None, *, instance: str | None = None, conversation: str | None = None,
          expects: Texts = (), uow: str | None = None, atomic: bool | None = None) -> Any:  # fmt: skip
    """One turn of an agent.

    Args:
        name: what the agent is called; by default as the decorated function.
        instance: this living agent, where several share a name in one run.
        conversation: the conversation the turn belongs to.
        expects: what the turn promises to do, as of `run`.
        uow: the unit of work it belongs to; by default the turn is one itself.
        atomic: the writes of the unit are meant to become visible together.
    """
    promises = obligations(expects)

    def make(called: str) -> Operation[AgentHandle]:
        attributes = {at.OPERATION: "invoke_agent", at.EXPECTS: promises, **_unit(uow, atomic)}
        scope = {at.AGENT: called, at.AGENT_INSTANCE: instance, at.CONVERSATION: conversation}
        return _Turn(f"invoke_agent {called}", attributes, scope)

    return concept(make, name)


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
            **_unit(uow, atomic),
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


def obligations(expects: Texts) -> list[str] | None:
    """*expects* as a list. One that nothing can meet would be a promise broken by every run, so it is left out."""
    found = listed(expects) or []
    wrong = [promise for promise in found if not _OBLIGATION.fullmatch(promise)]
    if wrong:
        message = f"expects {wrong[0]!r}: write tool:NAME, step:NAME, agent:NAME, validate:NAME or send:NAME"
        if strict():
            raise ValueError(message)
        warn_once(message, "driftline: %s; it is left out", message)
    return [promise for promise in found if promise not in wrong] or None


def _given(members: Mapping[str, Any]) -> dict[str, str]:
    return {key: text_of(value) for key, value in members.items() if value is not None}


def _unit(uow: str | None, atomic: bool | None) -> dict[str, Any]:
    return {at.UOW: uow, at.UOW_ATOMIC: atomic}
