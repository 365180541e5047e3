"""Secrets in every place that a span or a log record has, each told apart, and where they may be found again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_requests import MS, START, any_value, fill, request, span

from driftline.collector.store import Store

# Told apart by its number, so that a failure says which place leaked.
PATTERN = "pl4nted-[0-9]+-[a-z]+"
RULES = f"""
[[redact]]
pattern = "{PATTERN}"
action = "{{action}}"

[[redact]]
keys = ["password", "user.*", "log.body"]
action = "{{action}}"
"""


class Plants:
    """Makes secrets, and knows those it made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def a(self, where: str) -> str:
        """A secret for one place, that the pattern finds."""
        self.made.append(f"pl4nted-{len(self.made)}-{where}")
        return self.made[-1]

    def keyed(self, where: str) -> str:
        """A secret that only its key gives away."""
        self.made.append(f"keyed{len(self.made)}{where}")
        return self.made[-1]

    def values(self) -> dict[str, Any]:
        """Attributes of every kind of value that hold secrets."""
        return {
            "text": f"before {self.a('text')} after", self.a("key"): 1, "bytes": self.a("bytes").encode(),
            "list": [self.a("list"), self.a("list")], "map": {"in": {self.a("member"): [self.a("deep")]}},
            "mixed": [1, self.a("mixed"), {"x": self.a("mixedmap")}], "json": f'{{"a":"{self.a("json")}"}}',
            "user.name": self.keyed("name"), "user.map": {"x": self.keyed("map")}, "user.list": [self.keyed("list")],
            "user.bytes": self.keyed("bytes").encode(), "password": self.keyed("password"),
            "args": f'{{"password": "{self.keyed("inside")}", '
            f'"n": [{{"PASSWORD": {{"x": "{self.keyed("object")}"}}}}]}}',
            "quoted": f'{{"body": "{{\\"password\\": \\"{self.keyed("quoted")}\\"}}"}}',
            "python": f"{{'password': '{self.keyed('python')}', 'ok': 1}}",
        }  # fmt: skip

    def spans(self) -> ExportTraceServiceRequest:
        """A run with a call made twice and memory that two agents write, secrets everywhere."""
        run, twice = self.a("run"), self.a("call")
        common = {"driftline.run.id": run, "gen_ai.agent.name": self.a("agent"), "code.file.path": self.a("file")}
        call = {
            **common, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": self.a("tool"),
            "gen_ai.tool.call.arguments": f'{{"to":"{self.a("argument")}","password":"{self.keyed("argument")}"}}',
            "gen_ai.tool.call.result": f'{{"ok":"{self.a("result")}"}}', "driftline.call.id": twice,
            "driftline.effect": "write", "driftline.effect.outcome": "applied", "error.type": self.a("errortype"),
            "driftline.effect.targets": [f"order/{self.a('target')}"], "driftline.effect.key": self.a("effectkey"),
            "driftline.attempt.reason": self.a("reason"), "driftline.variant": self.a("variant"),
        }  # fmt: skip
        memory = {
            **common, "gen_ai.operation.name": "update_memory", "gen_ai.memory.store.id": self.a("store"),
            "driftline.memory.keys": [self.a("memorykey")], "driftline.memory.versions": [self.a("version")],
            "driftline.memory.parents": [self.a("parent")], "driftline.memory.watermark": self.a("watermark"),
            "driftline.effect.used": [f"notes/{self.a('used')}@v1"], "driftline.outcome": self.a("outcome"),
        }  # fmt: skip
        events = [
            (self.a("event"), self.values()),
            ("exception", {"exception.message": f"no {self.a('message')}", "exception.stacktrace": self.a("trace"),
                           "exception.type": self.a("type")}),
        ]  # fmt: skip
        found = [
            span(f"invoke_workflow {self.a('name')}",
                 {**common, **self.values(), "gen_ai.workflow.name": self.a("flow"),
                  "gen_ai.operation.name": "invoke_workflow"}, number=1, ms=90, events=events, status="ERROR",
                 message=f"failed: {self.a('status')} {{\"password\":\"{self.keyed('status')}\"}}", links=[(9, 9)]),
            span("execute_tool pay", {**call, "driftline.attempt": 1}, number=2, parent=1, start=START + MS),
            span("execute_tool pay", {**call, "driftline.attempt": 2}, number=3, parent=1, start=START + 5 * MS),
            span("update_memory x", memory, number=4, parent=1, start=START + 9 * MS, kind="CLIENT"),
        ]  # fmt: skip
        found[0].trace_state = f"a={self.a('state')}"
        found[0].links[0].trace_state = f"a={self.a('linkstate')}"
        fill(found[0].links[0].attributes, self.values())
        resource = {"service.name": self.a("service"), "host.name": self.a("host"),
                    "service.version": self.a("release"), **self.values()}  # fmt: skip
        return request(*found, resource=resource, scope=self.a("scope"), version=self.a("scopeversion"))

    def logs(self) -> ExportLogsServiceRequest:
        """Records of the first span."""
        found = ExportLogsServiceRequest()
        group = found.resource_logs.add(schema_url=self.a("schema"))
        fill(group.resource.attributes, {"service.name": self.a("logservice"), **self.values()})
        scoped = group.scope_logs.add(schema_url=self.a("scopeschema"))
        scoped.scope.name, scoped.scope.version = self.a("logscope"), self.a("logversion")
        fill(scoped.scope.attributes, self.values())
        for body in (self.keyed("body"), {"content": self.a("body"), "more": [self.keyed("bodymap")]}):
            record = scoped.log_records.add(
                time_unix_nano=START, trace_id=(1).to_bytes(16, "big"), span_id=(1).to_bytes(8, "big"),
                severity_text=self.a("severity"), event_name=self.a("logevent"),
            )  # fmt: skip
            record.body.CopyFrom(any_value(body))
            said = {"exception.type": self.a("logtype"), "exception.message": self.a("logmessage"),
                    "gen_ai.response.finish_reasons": [self.a("finish")]}  # fmt: skip
            fill(record.attributes, {**said, **self.values()})
        return found

    def leaks(self, text: str) -> list[str]:
        """The secrets that *text* holds, also as base64 writes bytes."""
        from base64 import b64encode

        return [one for one in self.made if one in text or b64encode(one.encode()).decode().rstrip("=")[:-1] in text]


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below *folder* with its content."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()


def columns(store: Store) -> Iterator[tuple[str, str]]:
    """All that stands in any column of any table, as text, by `table.column`."""
    for row in store.rows(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND table IN"
        " (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')"
    ):
        place = f"{row['table']}.`{row['name']}`"
        text = store.value(
            f"SELECT arrayStringConcat(arraySort(groupArray(toString(`{row['name']}`))), '\\n') FROM {row['table']}"
        )
        yield place, str(text)
