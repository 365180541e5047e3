"""What a program puts on the wire, byte for byte: the vocabulary of docs/wire.md."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from otlp_receiver import Received, Receiver
from recorded_spans import Recorded

import driftline
from driftline._settings import settings

RUN_TO_PROCESS = ("driftline.seq", "driftline.seq.end", "code.file.path", "code.line.number", "code.function.name")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A collector; driftline sends to it."""
    with Receiver() as receiver:
        driftline.init(
            "support-agents", tracer_provider=TracerProvider(shutdown_on_exit=False), endpoint=receiver.endpoint
        )
        yield receiver


def _one(receiver: Receiver) -> Received:
    assert driftline.flush()
    (span,) = receiver.spans()
    return span


def _said(span: Received) -> dict[str, Any]:
    return {key: value for key, value in span.attributes.items() if key not in RUN_TO_PROCESS}


EVERY_KIND: list[tuple[Any, str, int, dict[str, Any]]] = [
    (lambda: driftline.run("refund", id="r-1", parent_id="r-0", expects=["tool:pay*2"], conversation="c", variant="v"),
     "invoke_workflow refund", Span.SPAN_KIND_INTERNAL,
     {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "refund", "driftline.run.id": "r-1",
      "driftline.run.parent_id": "r-0", "driftline.expects": ["tool:pay*2"], "gen_ai.conversation.id": "c",
      "driftline.variant": "v"}),
    (lambda: driftline.agent("clerk", instance="clerk#2", conversation="c", expects="tool:pay", uow="u", atomic=True),
     "invoke_agent clerk", Span.SPAN_KIND_INTERNAL,
     {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk", "driftline.agent.instance": "clerk#2",
      "gen_ai.conversation.id": "c", "driftline.expects": ["tool:pay"], "driftline.uow": "u",
      "driftline.uow.atomic": True}),
    (lambda: driftline.step("load", expects=["tool:x"], uow="u", atomic=False, call_id="c1", effect="read"),
     "step load", Span.SPAN_KIND_INTERNAL,
     {"gen_ai.operation.name": "step", "driftline.step.name": "load", "driftline.expects": ["tool:x"],
      "driftline.uow": "u", "driftline.uow.atomic": False, "driftline.call.id": "c1", "driftline.effect": "read"}),
    (lambda: driftline.tool("pay", effect="write", idempotent=True, key="k", targets=["order/1"], compensates="c0",
                            used=["notes/plan@v1"], call_id="c1", tool_call_id="tc"),
     "execute_tool pay", Span.SPAN_KIND_INTERNAL,
     {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay", "gen_ai.tool.call.id": "tc",
      "driftline.call.id": "c1", "driftline.effect": "write", "driftline.effect.idempotent": True,
      "driftline.effect.key": hashlib.sha256(b'"k"').hexdigest()[:32], "driftline.effect.targets": ["order/1"],
      "driftline.effect.compensates": "c0", "driftline.effect.used": ["notes/plan@v1"],
      "driftline.effect.outcome": "applied"}),
    (lambda: driftline.llm("m-1", provider="openai"), "chat m-1", Span.SPAN_KIND_CLIENT,
     {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1", "gen_ai.provider.name": "openai"}),
    (lambda: driftline.llm("e-1", operation="embeddings"), "embeddings e-1", Span.SPAN_KIND_CLIENT,
     {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e-1"}),
    (lambda: driftline.memory.read("notes", ["a", "b/c"]), "read_memory notes", Span.SPAN_KIND_CLIENT,
     {"gen_ai.operation.name": "read_memory", "gen_ai.memory.store.id": "notes",
      "driftline.memory.keys": ["a", "b/c"]}),
    (lambda: driftline.memory.search("notes", watermark="w"), "search_memory notes", Span.SPAN_KIND_CLIENT,
     {"gen_ai.operation.name": "search_memory", "gen_ai.memory.store.id": "notes", "driftline.memory.keys": [],
      "driftline.memory.watermark": "w"}),
    (lambda: driftline.memory.write("notes", "a", parents=["v1"], version="v2", epoch=3), "update_memory notes",
     Span.SPAN_KIND_CLIENT,
     {"gen_ai.operation.name": "update_memory", "gen_ai.memory.store.id": "notes", "driftline.memory.keys": ["a"],
      "driftline.memory.versions": ["v2"], "driftline.memory.version_kind": "native",
      "driftline.memory.parents": ["v1"], "driftline.memory.epoch": 3}),
    (lambda: driftline.memory.write("notes", "a", parents=[None]), "create_memory notes", Span.SPAN_KIND_CLIENT,
     {"gen_ai.operation.name": "create_memory", "gen_ai.memory.store.id": "notes", "driftline.memory.keys": ["a"],
      "driftline.memory.parents": ["init"]}),
    (lambda: driftline.memory.write("notes", "a", operation="upsert_memory"), "upsert_memory notes",
     Span.SPAN_KIND_CLIENT,
     {"gen_ai.operation.name": "upsert_memory", "gen_ai.memory.store.id": "notes", "driftline.memory.keys": ["a"]}),
    (lambda: driftline.memory.delete("notes", "a", parents=["v2"], version="v3"), "delete_memory notes",
     Span.SPAN_KIND_CLIENT,
     {"gen_ai.operation.name": "delete_memory", "gen_ai.memory.store.id": "notes", "driftline.memory.keys": ["a"],
      "driftline.memory.versions": ["v3"], "driftline.memory.version_kind": "native",
      "driftline.memory.parents": ["v2"]}),
    (lambda: driftline.retrieval("handbook"), "retrieval handbook", Span.SPAN_KIND_CLIENT,
     {"gen_ai.operation.name": "retrieval", "gen_ai.data_source.id": "handbook"}),
    (lambda: driftline.validation("total", targets=["notes/a@v1", "call:c1"]), "validate total",
     Span.SPAN_KIND_INTERNAL,
     {"gen_ai.operation.name": "validate", "driftline.validation.name": "total",
      "driftline.validation.targets": ["notes/a@v1", "call:c1"], "driftline.validation.verdict": "pass"}),
    (lambda: driftline.send("q", message_id="m"), "send q", Span.SPAN_KIND_PRODUCER,
     {"messaging.operation.type": "send", "messaging.destination.name": "q", "messaging.message.id": "m"}),
    (lambda: driftline.receive("q", {}, message_id="m"), "process q", Span.SPAN_KIND_CONSUMER,
     {"messaging.operation.type": "process", "messaging.destination.name": "q", "messaging.message.id": "m"}),
]  # fmt: skip


@pytest.mark.parametrize(("make", "name", "kind", "said"), EVERY_KIND, ids=[name for _, name, _, _ in EVERY_KIND])
def test_name_kind_and_attributes(make: Any, name: str, kind: int, said: dict[str, Any], receiver: Receiver) -> None:
    """Each concept has exactly the name, the kind and the attributes of the vocabulary; lists are OTLP arrays."""
    with make():
        pass
    span = _one(receiver)
    assert (name, kind, "driftline") == (span.name, span.span.kind, span.scope)
    assert said == _said(span)
    assert set(RUN_TO_PROCESS) == set(span.attributes) - set(said)


def test_resource(receiver: Receiver) -> None:
    """The resource names the service, the process start and the distribution."""
    with driftline.step("s"):
        pass
    resource = _one(receiver).resource
    assert os.getpid() == resource["process.pid"]
    assert platform.node() == resource["host.name"]
    assert ("driftline", driftline.__version__) == (
        resource["telemetry.distro.name"],
        resource["telemetry.distro.version"],
    )
    assert len(resource["service.instance.id"]) == 36
    assert resource["service.name"] == "support-agents"


def test_at_most_30_attributes_and_identity_first(receiver: Receiver) -> None:
    """The fullest call there is stays within 30 attributes, and begins with what it is."""
    settings.capture = "full"
    with (
        driftline.run("w", conversation="c", variant="v"),
        driftline.agent("a", instance="i"),
        driftline.attempt(2, call_id="c", max=3, reason="Timeout"),
        pytest.raises(RuntimeError),
        driftline.tool(
            "t", effect="write", idempotent=False, key="k", targets=["x"], compensates="z", used=["s/k@v"],
            tool_call_id="tc",
        ) as call,
    ):  # fmt: skip
        call.arguments({"a": 1})
        call.result({"b": 2})
        call.replayed()
        raise RuntimeError("x")
    assert driftline.flush()
    span = next(one for one in receiver.spans() if one.name == "execute_tool t")
    keys = [pair.key for pair in span.span.attributes]
    assert len(keys) == 30
    identity = {
        "gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.tool.call.id", "driftline.run.id", "driftline.variant",
        "gen_ai.conversation.id", "gen_ai.agent.name", "driftline.agent.instance", "driftline.seq",
    }  # fmt: skip
    assert keys[:2] == ["gen_ai.operation.name", "gen_ai.tool.name"]
    assert identity == set(keys[:9])


def test_names_no_scrubber_blanks(receiver: Receiver) -> None:
    """No key of ours has a part that other SDKs' scrubbers take for a secret."""
    for make, *_ in EVERY_KIND:
        with make():
            pass
    assert driftline.flush()
    ours = {key for span in receiver.spans() for key in span.attributes if key.startswith("driftline.")}
    assert len(ours) > 20
    assert not [key for key in ours for part in ("session", "auth", "secret", "cookie", "token") if part in key]


def test_inherited_identity(spans: Recorded) -> None:
    """Spans inside a run and an agent turn carry both, down to any depth; the outer end restores the outer."""
    with driftline.run("w", id="r", conversation="c"):
        agents = driftline.agent("outer", instance="o"), driftline.step("deep"), driftline.agent("inner")
        with agents[0], agents[1], agents[2], driftline.tool("t"):
            pass
        with driftline.tool("after"):
            pass
    tool = spans.said("execute_tool t")
    assert (
        tool["driftline.run.id"], tool["gen_ai.conversation.id"], tool["gen_ai.agent.name"]
    ) == ("r", "c", "inner")  # fmt: skip
    assert "driftline.agent.instance" not in tool, "another agent is another instance"
    assert spans.said("step deep")["driftline.agent.instance"] == "o"
    assert "gen_ai.agent.name" not in spans.said("execute_tool after")


def test_a_run_inside_a_run(spans: Recorded) -> None:
    """The inner run names the outer as its parent, and is in no agent of the outer's."""
    with driftline.run("outer", id="o"), driftline.agent("a"), driftline.run("inner", id="i"), driftline.tool("t"):
        pass
    assert spans.said("invoke_workflow inner")["driftline.run.parent_id"] == "o"
    assert spans.said("execute_tool t")["driftline.run.id"] == "i"
    assert "gen_ai.agent.name" not in spans.said("execute_tool t")
    assert "driftline.run.parent_id" not in spans.said("invoke_workflow outer")


def test_each_entry_is_a_run_of_its_own(spans: Recorded) -> None:
    """A decorated workflow, or one entered twice, has another run id each time."""

    @driftline.run
    def nightly() -> str:
        return driftline.current_run()

    again = driftline.run("again")
    with again:
        first = driftline.current_run()
    with again:
        second = driftline.current_run()
    assert len({nightly(), nightly(), first, second}) == 4
    assert driftline.current_run() == ""


def test_variant_of_the_process(spans: Recorded) -> None:
    """A variant given to init is on every span, unless a run names its own."""
    settings.variant = "b"
    with driftline.step("s"), driftline.run("r", variant="c"), driftline.step("t"):
        pass
    assert [span.attributes["driftline.variant"] for span in spans.all()] == ["c", "c", "b"]


def test_pending_copies_of_long_spans_only(spans: Recorded) -> None:
    """Runs and agent turns are announced when they start, with end = start and the ids of the final span."""
    with driftline.run("r"), driftline.agent("a"), driftline.tool("t"), driftline.step("s"), driftline.llm("m"):
        early = spans.all(pending=True)
    assert [span.name for span in early] == ["invoke_workflow r", "invoke_agent a"]
    for copy in early:
        final = spans.one(copy.name)
        assert copy.attributes["driftline.pending"] is True
        assert copy.start_time == copy.end_time == final.start_time
        assert copy.context == final.context
        assert "driftline.pending" not in final.attributes


def test_a_superseded_pending_copy_is_not_sent(spans: Recorded) -> None:
    """When the final span leaves in the same batch the copy says nothing new."""
    with driftline.run("r"):
        pass
    assert len(spans.all(pending=True)) == 1


def test_words_outside_of_the_vocabulary(spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """They raise under test; in production they are left out, and the program runs on."""
    with driftline.run("r") as run, driftline.validation("v") as check:
        for say, word in ((run.outcome, "done"), (check.verdict, "ok")):
            with pytest.raises(ValueError, match=word):
                say(word)
        monkeypatch.setenv("DRIFTLINE_STRICT", "0")
        run.outcome("done")
        check.verdict("ok")
    assert "driftline.outcome" not in spans.said("invoke_workflow r")
    assert spans.said("validate v")["driftline.validation.verdict"] == "pass"


@pytest.mark.parametrize("word", ["complete", "partial", "failed", "cancelled"])
def test_outcome(word: str, spans: Recorded) -> None:
    """What the program claims, in the four words there are."""
    with driftline.run("r") as run:
        run.outcome(word)
    assert word == spans.said("invoke_workflow r")["driftline.outcome"]


def test_obligations(spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """An obligation that nothing can meet is refused: every run would break it."""
    with pytest.raises(ValueError, match="tool:NAME"):
        driftline.run("r", expects=["pay"])
    monkeypatch.setenv("DRIFTLINE_STRICT", "0")
    with driftline.run("r", expects=["pay", "tool:pay*2", "agent:clerk", "validate:total", "send:q", "step:s"]):
        pass
    assert spans.said("invoke_workflow r")["driftline.expects"] == [
        "tool:pay*2",
        "agent:clerk",
        "validate:total",
        "send:q",
        "step:s",
    ]


def test_unknown_effect_is_refused() -> None:
    """A wrong word in the source is an error where it stands."""
    with pytest.raises(ValueError, match="none, read, write, destructive"):
        driftline.tool("t", effect="delete")


def test_key_and_targets_from_arguments(spans: Recorded) -> None:
    """Of a decorated function, both may follow from the arguments; only the key's digest leaves."""

    @driftline.tool(effect="write", key=lambda order, cents: f"{order}:{cents}", targets=lambda order, cents: order)
    def pay(order: str, cents: int) -> None: ...

    pay("order/1", cents=5)
    said = spans.said("execute_tool pay")
    assert driftline.canonical.digest("order/1:5") == said["driftline.effect.key"]
    assert said["driftline.effect.targets"] == ["order/1"]


def test_model_handle(spans: Recorded) -> None:
    """Usage, context and finish reasons have the names of the conventions."""
    with driftline.llm("m", provider="p") as call:
        call.usage(input_tokens=10, output_tokens=5, cache_read=4, cache_write=3, reasoning=2)
        call.context(tools_offered=7, items=0)
        call.finished("stop")
        call.used("s/k@v")
    said = spans.said("chat m")
    assert [
        said[f"gen_ai.usage.{name}"]
        for name in ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_write.input_tokens",
                     "reasoning.output_tokens")
    ] == [10, 5, 4, 3, 2]  # fmt: skip
    assert (said["driftline.context.tools_offered"], said["driftline.context.items"]) == (7, 0)
    assert said["gen_ai.response.finish_reasons"] == ["stop"]
    assert said["driftline.effect.used"] == ["s/k@v"]
