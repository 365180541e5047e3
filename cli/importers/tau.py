"""Reads tau-bench trajectories: a JSON array of runs, each the messages of one conversation with its tool calls.

What is read, and nothing else: `task_id`, `trial`, `traj`, and with `--expects` the expected actions. Reward and
annotations say how a run was judged, not what happened in it; no span carries them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from driftline.cli.importers.source import UnreadableRecording, expect, read_json, read_lines

_STOP = "###STOP###"
_HANDED_OVER = "transfer_to_human_agents"
_HINT = "see docs/import.md for what a trajectory looks like"


@dataclass(frozen=True)
class Call:
    """One tool call: where it stands (message, call), what was asked, and the answer, if one came."""

    message: int
    number: int
    tool: str
    id: str
    arguments: Any
    result: str | None
    result_message: int | None

    @property
    def refused(self) -> bool:
        """Whether the simulator declined: nothing was changed."""
        return self.result is not None and self.result.startswith("Error")


@dataclass(frozen=True)
class Trajectory:
    """One run: its turns of the model in order (message number, calls), how it ended, what it was expected to do."""

    run: str
    domain: str
    messages: int
    turns: tuple[tuple[int, tuple[Call, ...]], ...]
    outcome: str
    expected: tuple[str, ...]


@dataclass(frozen=True)
class Touched:
    """What the oracle says one call read and changed: `(entity, version, state)`, `(entity, before, after, state)`."""

    tool: str
    read: tuple[tuple[str, str, str], ...] = ()
    changed: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True)
class Oracle:
    """A replay of the runs: by run, by place of the call, what it touched."""

    name: str
    runs: Mapping[str, Mapping[tuple[int, int], Touched]] = field(default_factory=dict)

    def check_covers(self, runs: Iterable[str]) -> None:
        """Fail if a run of the recording is missing here: its state would look as if nobody had touched it.

        Raises:
            UnreadableRecording: names the first run that is missing.
        """
        missing = [run for run in runs if run not in self.runs]
        if missing:
            more = f" and {len(missing) - 1} more" if missing[1:] else ""
            raise UnreadableRecording(
                f"{self.name} has no line for run {missing[0]}{more}",
                "the oracle must be a replay of this very recording",
            )


def read_trajectories(name: str, groups: Mapping[str, frozenset[str]], domain: str = "") -> list[Trajectory]:
    """The runs in file *name*. Their domain, if not given, is the group of the catalogue their tools belong to.

    Raises:
        UnreadableRecording: the file is no such recording; says at which element.
    """
    elements = expect(read_json(name), list, name, "a JSON array of runs")
    if not elements:
        raise UnreadableRecording(f"{name}: the array is empty", "there is nothing to import")
    runs = [_run(f"{name}, element {n}", element) for n, element in enumerate(elements)]
    domain = domain or _domain(name, runs, groups)
    first: dict[str, int] = {}
    for n, run in enumerate(runs):
        if first.setdefault(run.run, n) != n:
            raise UnreadableRecording(
                f"{name}, element {n}: the same task_id and trial as element {first[run.run]} ({run.run})",
                "each run needs its own",
            )
    return [replace(run, run=f"tau-{domain}-{run.run}", domain=domain) for run in runs]


def read_oracle(name: str) -> Oracle:
    """The replay in file *name*, one run a line.

    Raises:
        UnreadableRecording: the file is no such replay; says at which line.
    """
    runs: dict[str, dict[tuple[int, int], Touched]] = {}
    for number, entry in read_lines(name):
        where = f"{name}, line {number}"
        run = expect(entry.get("run"), str, f"{where}: run", "the id of a run")
        calls = expect(entry.get("calls"), list, f"{where}: calls", "an array of calls")
        runs[run] = dict(_touched(f"{where}: calls[{n}]", call) for n, call in enumerate(calls))
    return Oracle(name, runs)


def _touched(where: str, call: Any) -> tuple[tuple[int, int], Touched]:
    expect(call, dict, where, "an object")
    message, number = (expect(call.get(name), int, f"{where}.{name}", "a number") for name in ("message", "call"))
    try:
        return (message, number), Touched(
            tool=str(call["tool"]),
            read=tuple((r["entity"], r["version"], r["state"] or "") for r in call["read"]),
            changed=tuple(
                (c["entity"], c["version_before"], c["version_after"], c["state_after"] or "") for c in call["changed"]
            ),
        )
    except (KeyError, TypeError) as error:
        raise UnreadableRecording(f"{where}: {error} is missing or misshapen", _HINT) from error


def _run(where: str, element: Any) -> Trajectory:
    """One element, its run id still without the domain."""
    expect(element, dict, where, "an object with task_id, trial and traj")
    task = expect(element.get("task_id"), (int, str), f"{where}: task_id", "a number")
    trial = expect(element.get("trial", 0), (int, str), f"{where}: trial", "a number")
    where = f"{where} (task {task}, trial {trial})"
    messages = expect(element.get("traj"), list, f"{where}: traj", "an array of messages")
    for n, message in enumerate(messages):
        expect(message, dict, f"{where}: traj[{n}]", "a message")
        expect(message.get("role"), str, f"{where}: traj[{n}].role", "system, user, assistant or tool")
    turns = tuple(
        (n, _calls(f"{where}: traj[{n}]", n, messages))
        for n, message in enumerate(messages)
        if message["role"] == "assistant"
    )
    return Trajectory(f"{task}-{trial}", "", len(messages), turns, _outcome(messages, turns), _expected(where, element))


def _calls(where: str, number: int, messages: list[dict[str, Any]]) -> tuple[Call, ...]:
    """The calls of assistant message *number*, each with its answer."""
    asked = expect(messages[number].get("tool_calls") or [], list, f"{where}.tool_calls", "an array of tool calls")
    functions = [_function(f"{where}.tool_calls[{n}]", call) for n, call in enumerate(asked)]
    ids = [str(call.get("id") or "") for call in asked]
    answers = _pair(ids, _answers(number, messages))
    found = []
    for n, ((tool, arguments), call_id, answer) in enumerate(zip(functions, ids, answers, strict=True)):
        result = None if answer is None else _text(messages[answer].get("content"))
        found.append(Call(number, n, tool, call_id, arguments, result, answer))
    return tuple(found)


def _function(where: str, call: Any) -> tuple[str, Any]:
    """Name and arguments of a tool call; arguments that are no JSON stay the text the model wrote."""
    expect(call, dict, where, "a tool call")
    function = expect(call.get("function"), dict, f"{where}.function", "an object with name and arguments")
    name = expect(function.get("name"), str, f"{where}.function.name", "the name of a tool")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            return name, json.loads(arguments)
        except (ValueError, RecursionError):
            return name, arguments
    return name, arguments


def _answers(number: int, messages: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """The tool messages after message *number* and before the next turn of the model: place and id."""
    found = []
    for n in range(number + 1, len(messages)):
        if messages[n]["role"] == "assistant":
            break
        if messages[n]["role"] == "tool":
            found.append((n, str(messages[n].get("tool_call_id") or "")))
    return found


def _pair(ids: list[str], answers: list[tuple[int, str]]) -> list[int | None]:
    """For each call of one message the place of its answer: the next one not taken.

    Ids are reused for different calls, so an id decides only between several calls of the same message.
    """
    left = list(answers)
    found: dict[int, int] = {}
    if len(ids) > 1:
        for n, call_id in enumerate(ids):
            match = next((answer for answer in left if answer[1] == call_id), None)
            if match:
                found[n] = match[0]
                left.remove(match)
    for n in range(len(ids)):
        if n not in found and left:
            found[n] = left.pop(0)[0]
    return [found.get(n) for n in range(len(ids))]


def _text(content: Any) -> str:
    """A message's content as text; parts of a structured one joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return "" if content is None else json.dumps(content, ensure_ascii=False)


def _outcome(messages: list[dict[str, Any]], turns: Iterable[tuple[int, tuple[Call, ...]]]) -> str:
    last = messages[-1] if messages else {"role": ""}
    if last["role"] == "user" and _STOP in _text(last.get("content")):
        return "complete"
    handed_over = any(call.tool == _HANDED_OVER for _, calls in turns for call in calls)
    return "partial" if handed_over else "cancelled"


def _expected(where: str, element: Mapping[str, Any]) -> tuple[str, ...]:
    """The tools the task expects to be called, in order; none where the recording does not say."""
    info = expect(element.get("info") or {}, dict, f"{where}: info", "an object")
    task = expect(info.get("task") or {}, dict, f"{where}: info.task", "an object")
    actions = expect(task.get("actions") or [], list, f"{where}: info.task.actions", "an array of actions")
    names = []
    for n, action in enumerate(actions):
        here = f"{where}: info.task.actions[{n}]"
        names.append(expect(expect(action, dict, here, "an action").get("name"), str, f"{here}.name", "a tool's name"))
    return tuple(names)


def _domain(name: str, runs: Iterable[Trajectory], groups: Mapping[str, frozenset[str]]) -> str:
    """The catalogue's group that knows most of the tools called; failing that, the name of the file."""
    tools = {call.tool for run in runs for _, calls in run.turns for call in calls}
    known = sorted(((len(tools & members), group) for group, members in groups.items()), reverse=True)
    if known and known[0][0] and (len(known) == 1 or known[0][0] > known[1][0]):
        return known[0][1]
    match = re.match(r"(?:.*[-_])?(airline|retail|telecom)(?:[-_.]|$)", Path(name).name)
    if match:
        return match[1]
    raise UnreadableRecording(
        f"{name}: which domain these runs are of cannot be told from the tools they call",
        "name it with --domain, or group the tools in the catalogue: [airline.book_reservation]",
    )
