"""Everything one span carries, payloads included: loaded only when somebody opens it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from driftline.web.formats import from_nanos, pretty
from driftline.web.queries import Reader

CUT = 20_000  # characters of one value that a page shows
WHOLE = 2**32 - 1
_MOST_LOGS = 500  # log records of one span that a page shows, the earliest
_LONGEST_NAME = 100
_ARGUMENTS = ("gen_ai.tool.call.arguments", "langfuse.observation.input", "input.value", "tool.parameters")
_RESULTS = ("gen_ai.tool.call.result", "langfuse.observation.output", "output.value")
_MESSAGES = ("gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages")


@dataclass(frozen=True)
class Value:
    """One attribute. `length` is set (bytes) when `text` is only its beginning."""

    name: str
    text: str
    length: int | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened during the span: an event of its own, or a log record (`log`: its severity)."""

    at: datetime
    name: str
    attributes: tuple[Value, ...]
    log: str = ""


@dataclass(frozen=True)
class SpanDetail:
    """One span: canonical terms, content, all attributes, events, links, memory operations."""

    trace_id: str
    span_id: str
    parent_id: str
    run_id: str
    name: str
    kind: str
    span_kind: str
    status: str
    status_message: str
    agent: str
    service: str
    scope: str
    dialect: str
    synthetic: bool
    started_at: datetime
    ended_at: datetime
    duration_ns: int
    pending: bool
    source: str
    facts: tuple[tuple[str, str], ...]
    content: tuple[Value, ...]
    attributes: tuple[Value, ...]
    resource: tuple[Value, ...]
    events: tuple[Event, ...]
    links: tuple[tuple[str, str], ...]
    memory: tuple[dict[str, Any], ...]
    dropped: tuple[str, ...]


def load_span(reader: Reader, trace_id: str, span_id: str, cut: int = CUT) -> SpanDetail | None:
    """The span, each value cut to *cut* characters; None when the store does not hold it."""
    steps = reader.rows("span_step", trace=trace_id, span=span_id)
    found = reader.rows("span_payload", trace=trace_id, span=span_id, cut=cut)
    if not steps or not found:
        return None
    step, payload = steps[0], found[0]
    values = {name: Value(name, text, payload["cut_lengths"].get(name)) for name, text in payload["attributes"].items()}
    content = [_pretty(values[name]) for name in (*_ARGUMENTS, *_RESULTS, *_MESSAGES) if name in values]
    shown = {value.name for value in content}
    return SpanDetail(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=step["parent_id"],
        run_id=step["run_id"],
        name=step["name"],
        kind=step["kind"],
        span_kind=step["span_kind"],
        status=step["status"],
        status_message=payload["status_message"],
        agent=step["agent"],
        service=step["service"],
        scope=" ".join(filter(None, (payload["scope"], payload["scope_version"]))),
        dialect=step["dialect"],
        synthetic=step["clock"] == "synthetic",
        started_at=step["started_at"],
        ended_at=step["ended_at"],
        duration_ns=max(0, step["end_ns"] - step["start_ns"]),
        pending=step["pending"],
        source=_source(step),
        facts=tuple(_facts(step)),
        content=tuple(content),
        attributes=tuple(values[name] for name in sorted(values) if name not in shown),
        resource=tuple(Value(name, text) for name, text in sorted(payload["resource"].items())),
        events=_events(payload, reader.rows("span_logs", trace=trace_id, span=span_id, cut=cut, most=_MOST_LOGS)),
        links=tuple(zip(payload["link_traces"], payload["link_spans"], strict=True)),
        memory=tuple(reader.rows("span_memory", trace=trace_id, span=span_id)),
        dropped=tuple(
            f"{payload[f'dropped_{what}']} {what}"
            for what in ("attributes", "events", "links")
            if payload[f"dropped_{what}"]
        ),
    )


def _events(payload: dict[str, Any], logs: list[dict[str, Any]]) -> tuple[Event, ...]:
    """Events and log records, in order of time."""
    own = zip(payload["event_times"], payload["event_names"], payload["event_attributes"], strict=True)
    found = [(at, Event(from_nanos(at), name, _sorted(attributes))) for at, name, attributes in own]
    for row in logs:
        first = row["body"].strip().partition("\n")[0]
        name = row["name"] or row["attributes"].get("event.name") or first[:_LONGEST_NAME] or "log record"
        body = (_pretty(Value("body", row["body"])),) if row["body"] and row["body"] != name else ()
        event = Event(from_nanos(row["at"]), name, body + _sorted(row["attributes"]), row["severity"] or "log")
        found.append((row["at"], event))
    return tuple(event for _, event in sorted(found, key=lambda pair: pair[0]))


def _sorted(attributes: dict[str, str]) -> tuple[Value, ...]:
    return tuple(_pretty(Value(key, text)) for key, text in sorted(attributes.items()))


def _pretty(value: Value) -> Value:
    return value if value.length else Value(value.name, pretty(value.text))


def _source(step: dict[str, Any]) -> str:
    if not step["code_file"]:
        return ""
    line = f":{step['code_line']}" if step["code_line"] is not None else ""
    function = f" in {step['code_function']}" if step["code_function"] else ""
    return f"{step['code_file']}{line}{function}"


def _facts(step: dict[str, Any]) -> list[tuple[str, str]]:
    """What the span says in canonical terms, without what it does not say."""
    attempt = f"{step['attempt'] or ''}{'/' + str(step['attempt_max']) if step['attempt_max'] else ''}"
    tokens = f"{step['tokens_input'] or 0} in, {step['tokens_output'] or 0} out" if step["tokens_input"] else ""
    effect = " ".join(filter(None, (step["effect"], step["effect_outcome"])))
    told = (
        ("agent", step["agent"]),
        ("agent instance", step["agent_instance"]),
        ("tool", step["tool"]),
        ("step", step["step_name"]),
        ("call", step["call_id"] or step["tool_call_id"]),
        ("attempt", " ".join(filter(None, (attempt, step["attempt_reason"])))),
        ("effect", effect),
        ("acted on", ", ".join(step["effect_targets"])),
        ("idempotent", "" if step["effect_idempotent"] is None else "yes" if step["effect_idempotent"] else "no"),
        ("undoes", step["effect_compensates"]),
        ("used", ", ".join(step["used"])),
        ("expects", ", ".join(step["expects"])),
        ("outcome", step["outcome"]),
        ("model", " ".join(filter(None, (step["provider"], step["model"])))),
        ("tokens", tokens),
        ("finish", ", ".join(step["finish_reasons"])),
        ("validation", " ".join(filter(None, (step["validation"], step["validation_verdict"])))),
        ("destination", step["destination"]),
        ("error", step["error_type"]),
        (
            "logical clock",
            "" if step["seq"] is None else f"{step['seq']} … {step['seq_end'] if step['seq_end'] is not None else '?'}",
        ),
        ("process", step["instance"]),
        ("host", step["host"]),
        ("arguments digest", step["args_digest"] or ("" if step["args_state"] == "missing" else step["args_state"])),
        ("result digest", step["result_digest"]),
    )
    return [(name, str(value)) for name, value in told if value]
