"""Runs and agent turns: what is long, makes its own decisions, and may promise something."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, overload

from opentelemetry.context import Context

from driftline import _scope
from driftline import attributes as at
from driftline._attempts import outside_attempt
from driftline._effect import Texts, listed
from driftline._guard import strict, warn_once
from driftline._handles import AgentHandle
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
        attributes = {at.OPERATION: "invoke_agent", at.EXPECTS: promises, **unit(uow, atomic)}
        scope = {at.AGENT: called, at.AGENT_INSTANCE: instance, at.CONVERSATION: conversation}
        return _Turn(f"invoke_agent {called}", attributes, scope)

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


def unit(uow: str | None, atomic: bool | None) -> dict[str, Any]:
    """The unit of work that writes inside belong to."""
    return {at.UOW: uow, at.UOW_ATOMIC: atomic}


def _given(members: Mapping[str, Any]) -> dict[str, str]:
    return {key: text for key, value in members.items() if (text := text_of(value))}
