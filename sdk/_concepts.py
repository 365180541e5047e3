"""The concepts of an agent system, each a context manager and a decorator: run, agent, step, tool, llm, …"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from opentelemetry.trace import SpanKind

from driftline import attributes as at
from driftline._attempts import current_attempt
from driftline._operation import Handle, Operation, concept
from driftline._payload import capture_result, say_arguments
from driftline.canonical import digest
from driftline.errors import Refused

_F = TypeVar("_F", bound=Callable[..., Any])
_WRITES = ("write", "destructive")
EFFECTS = ("none", "read", *_WRITES)


class ToolHandle(Handle):
    """A tool call or step that may act on the world."""

    def applied(self) -> None:
        """The effect took place."""
        self.set(at.EFFECT_OUTCOME, "applied")

    def refused(self, reason: str = "") -> None:
        """The receiver declined; nothing changed."""
        self.set(at.EFFECT_OUTCOME, "refused")
        if reason:
            self.fail(reason)

    def unknown(self) -> None:
        """Whether it took place cannot be told."""
        self.set(at.EFFECT_OUTCOME, "unknown")

    def replayed(self) -> None:
        """Served from a cache or re-emitted by a durable engine: no new effect."""
        self.set(at.REPLAYED, True)

    def arguments(self, value: Any) -> None:
        """What the call was given."""
        say_arguments(self, value)

    def result(self, value: Any) -> None:
        """What it returned."""
        capture_result(self, value)

    def targets(self, *entities: str) -> None:
        """The entities acted on, e.g. `order/991`."""
        self.set(at.EFFECT_TARGETS, list(entities))

    def used(self, *references: str) -> None:
        """The versions acted on: references STORE/KEY@VERSION, as memory handles give them."""
        self.set(at.EFFECT_USED, [str(reference) for reference in references])


class ModelHandle(Handle):
    """A model call."""

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read: int | None = None,
        cache_write: int | None = None,
        reasoning: int | None = None,
    ) -> None:
        """Tokens spent; *input_tokens* includes cached ones."""
        keys = (at.USAGE_INPUT, at.USAGE_OUTPUT, at.USAGE_CACHE_READ, at.USAGE_CACHE_WRITE, at.USAGE_REASONING)
        for key, value in zip(keys, (input_tokens, output_tokens, cache_read, cache_write, reasoning), strict=False):
            if value is not None:
                self.set(key, value)

    def context(self, *, tools_offered: int | None = None, items: int | None = None) -> None:  # type: ignore[override]
        """How much was put before the model."""
        for key, value in ((at.CONTEXT_TOOLS, tools_offered), (at.CONTEXT_ITEMS, items)):
            if value is not None:
                self.set(key, value)

    def finished(self, *reasons: str) -> None:
        """Why the model stopped, e.g. `stop`, `length`."""
        self.set(at.FINISH_REASONS, list(reasons))

    def used(self, *references: str) -> None:
        """The versions the prompt was built from."""
        self.set(at.EFFECT_USED, [str(reference) for reference in references])


class ValidationHandle(Handle):
    """A check."""

    def verdict(self, word: str) -> None:
        """pass, fail, error or skipped."""
        self.set(at.VALIDATION_VERDICT, word)

    def checked(self, *references: str) -> None:
        """What was looked at: STORE/KEY@VERSION or call:CALL_ID."""
        self.set(at.VALIDATION_TARGETS, [str(reference) for reference in references])


class _Announced(Operation[Handle]):
    announces = True


class _Effect(Operation[ToolHandle]):
    handle_type = ToolHandle
    captures = True

    def begin_attributes(self) -> dict[str, Any]:
        attempt = current_attempt()
        return attempt.attributes(self.name.rpartition(" ")[2]) if attempt else {}

    def finish(self, handle: ToolHandle, error: BaseException | None) -> None:
        if self.attributes.get(at.EFFECT) in _WRITES and at.EFFECT_OUTCOME not in handle._said:
            refused = isinstance(error, Refused)
            handle.set(at.EFFECT_OUTCOME, "refused" if refused else "unknown" if error else "applied")


class _Model(Operation[ModelHandle]):
    handle_type = ModelHandle
    kind = SpanKind.CLIENT


class _Retrieval(_Effect):
    kind = SpanKind.CLIENT


class _Validation(Operation[ValidationHandle]):
    handle_type = ValidationHandle
    captures = True

    def finish(self, handle: ValidationHandle, error: BaseException | None) -> None:
        if at.VALIDATION_VERDICT not in handle._said:
            handle.verdict("error" if error else "pass")


def run(
    workflow: str,
    *,
    id: str | None = None,  # noqa: A002 - the word users look for
    parent_id: str | None = None,
    expects: Iterable[str] = (),
    conversation: str | None = None,
    variant: str | None = None,
) -> Operation[Handle]:
    """One run of a workflow. *expects*: what it promises to do, e.g. `["tool:charge*2", "agent:reviewer"]`."""
    run_id = id or str(uuid.uuid4())
    scope = {at.RUN_ID: run_id, **_given({at.CONVERSATION: conversation, at.VARIANT: variant})}
    attributes = {
        at.OPERATION: "invoke_workflow",
        at.WORKFLOW: workflow,
        at.RUN_ID: run_id,
        at.RUN_PARENT_ID: parent_id,
        at.EXPECTS: list(expects) or None,
        at.CONVERSATION: conversation,
        at.VARIANT: variant,
    }
    return _Announced(f"invoke_workflow {workflow}", attributes, scope)


@overload
def agent(name: _F) -> _F: ...
@overload
def agent(
    name: str | None = None,
    *,
    instance: str | None = None,
    conversation: str | None = None,
    expects: Iterable[str] = (),
    uow: str | None = None,
    atomic: bool | None = None,
) -> Operation[Handle]: ...
def agent(name: Any = None, *, instance: str | None = None, conversation: str | None = None,
          expects: Iterable[str] = (), uow: str | None = None, atomic: bool | None = None) -> Any:  # fmt: skip
    """One turn of an agent. *instance*: this living agent, where several share a name."""

    def make(called: str) -> Operation[Handle]:
        scope = {at.AGENT: called, **_given({at.AGENT_INSTANCE: instance, at.CONVERSATION: conversation})}
        attributes = {at.OPERATION: "invoke_agent", **scope, at.EXPECTS: list(expects) or None, **_unit(uow, atomic)}
        return _Announced(f"invoke_agent {called}", attributes, scope)

    return concept(make, name)


@overload
def step(name: _F) -> _F: ...
@overload
def step(
    name: str | None = None,
    *,
    expects: Iterable[str] = (),
    uow: str | None = None,
    atomic: bool | None = None,
    call_id: str | None = None,
    effect: str | None = None,
) -> Operation[ToolHandle]: ...
def step(name: Any = None, *, expects: Iterable[str] = (), uow: str | None = None, atomic: bool | None = None,
         call_id: str | None = None, effect: str | None = None) -> Any:  # fmt: skip
    """Any piece of work worth seeing."""

    def make(called: str) -> Operation[ToolHandle]:
        attributes = {
            at.OPERATION: "step",
            at.STEP_NAME: called,
            at.EXPECTS: list(expects) or None,
            at.CALL_ID: call_id,
            at.EFFECT: _effect(effect),
            **_unit(uow, atomic),
        }
        return _Effect(f"step {called}", attributes)

    return concept(make, name)


@overload
def tool(name: _F) -> _F: ...
@overload
def tool(
    name: str | None = None,
    *,
    effect: str | None = None,
    idempotent: bool | None = None,
    key: str | None = None,
    targets: Iterable[str] = (),
    compensates: str | None = None,
    used: Iterable[str] = (),
    call_id: str | None = None,
    tool_call_id: str | None = None,
) -> Operation[ToolHandle]: ...
def tool(name: Any = None, *, effect: str | None = None, idempotent: bool | None = None, key: str | None = None,
         targets: Iterable[str] = (), compensates: str | None = None, used: Iterable[str] = (),
         call_id: str | None = None, tool_call_id: str | None = None) -> Any:  # fmt: skip
    """A tool call.

    *effect*: none, read, write or destructive. A declared write that returns counts as applied, one that raises as
    unknown, one that raises `Refused` as refused, unless the handle says otherwise. *key*: the idempotency key; only
    its digest leaves the process. *compensates*: the `call_id` of the call this one undoes.
    """

    def make(called: str) -> Operation[ToolHandle]:
        attributes = {
            at.OPERATION: "execute_tool",
            at.TOOL: called,
            at.TOOL_CALL_ID: tool_call_id,
            at.CALL_ID: call_id,
            at.EFFECT: _effect(effect),
            at.EFFECT_IDEMPOTENT: idempotent,
            at.EFFECT_KEY: digest(key) if key is not None else None,
            at.EFFECT_TARGETS: list(targets) or None,
            at.EFFECT_COMPENSATES: compensates,
            at.EFFECT_USED: [str(reference) for reference in used] or None,
        }
        return _Effect(f"execute_tool {called}", attributes)

    return concept(make, name)


def llm(model: str, *, provider: str | None = None, operation: str = "chat") -> Operation[ModelHandle]:
    """A model call."""
    return _Model(f"{operation} {model}", {at.OPERATION: operation, at.MODEL: model, at.PROVIDER: provider})


def retrieval(source: str) -> Operation[ToolHandle]:
    """A look-up in a data source that is not shared memory."""
    return _Retrieval(f"retrieval {source}", {at.OPERATION: "retrieval", at.DATA_SOURCE: source})


@overload
def validation(name: _F) -> _F: ...
@overload
def validation(name: str | None = None, *, targets: Iterable[str] = ()) -> Operation[ValidationHandle]: ...
def validation(name: Any = None, *, targets: Iterable[str] = ()) -> Any:
    """A check of something. Without a verdict given it passes when it returns and errs when it raises."""

    def make(called: str) -> Operation[ValidationHandle]:
        attributes = {
            at.OPERATION: "validate",
            at.VALIDATION_NAME: called,
            at.VALIDATION_TARGETS: [str(target) for target in targets] or None,
        }
        return _Validation(f"validate {called}", attributes)

    return concept(make, name)


def _given(members: dict[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in members.items() if value is not None}


def _unit(uow: str | None, atomic: bool | None) -> dict[str, Any]:
    return {at.UOW: uow, at.UOW_ATOMIC: atomic}


def _effect(word: str | None) -> str | None:
    if word is not None and word not in EFFECTS:
        raise ValueError(f"effect {word!r}: use one of {', '.join(EFFECTS)}")
    return word
