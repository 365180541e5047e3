"""Random histories in the notation of `histories`: runs in which agents call tools, retry, remember, and hand off.

They keep to what the vocabulary promises (a version has one writer, a message one sender, ordinals follow the lineage)
and break whatever a program may break: stale reads, repeats, compensations, lost ends, processes without a clock.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

_AGENTS = ("planner", "writer", "critic")
_KEYS = ("notes/plan", "notes/todo", "cal/monday")
_TOOLS = ("charge", "book", "notify")
_ARGUMENTS = ("a", "b")


@dataclass
class _Line:
    depth: int
    text: str
    kind: str


@dataclass
class _World:
    """What has happened so far: versions by key, calls that were made, messages under way."""

    dice: random.Random
    versions: dict[str, list[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    open_lines: dict[str, list[_Line]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    count: int = 0

    def number(self) -> int:
        self.count += 1
        return self.count


def history(dice: random.Random, *, length: int = 12) -> str:
    """A random history of about *length* lines."""
    world = _World(dice)
    clockless = dice.random() < 0.1
    flag = " noseq" if clockless else ""
    world.lines.append(f"P1 run(order){flag}{_promise(dice)}")
    world.open_lines["P1"] = [_Line(0, "", "run")]
    if dice.random() < 0.25:
        world.lines.append(f"P9 run(order) run=r2{flag}")
        world.open_lines["P9"] = [_Line(0, "", "run")]
        world.runs["P9"] = "r2"
    for _ in range(length):
        _step(world, flag)
    if dice.random() < 0.7:
        _take_all_messages(world, flag)
    return "\n".join(world.lines) + "\n"


def _promise(dice: random.Random) -> str:
    words = []
    if dice.random() < 0.4:
        words.append(f"expects=tool:{dice.choice(_TOOLS)}")
    if dice.random() < 0.6:
        words.append(f"outcome={dice.choice(('complete', 'complete', 'partial', 'failed'))}")
    return "".join(f" {word}" for word in words)


def _step(world: _World, flag: str) -> None:
    dice = world.dice
    if world.labels and dice.random() < 0.15:
        _receive(world, flag)
        return
    process = dice.choice(sorted(world.open_lines))
    stack = world.open_lines[process]
    holders = [line for line in stack if line.kind in ("run", "agent", "step", "process", "tool")]
    inside = holders[-1] if dice.random() < 0.6 else dice.choice(holders)
    if inside.kind == "tool" and dice.random() < 0.6:
        inside = holders[0]
    del stack[stack.index(inside) + 1 :]
    depth = inside.depth + 1
    kind, text = _operation(world)
    world.lines.append("  " * depth + f"{process} {text}{flag}")
    stack.append(_Line(depth, text, kind))


def _take_all_messages(world: _World, flag: str) -> None:
    """So that nothing of the run is known to be missing."""
    for label in world.labels:
        if label.startswith("m") and not any(f" process(q) #{label}" in line for line in world.lines):
            _receive(world, flag, label)
            process = world.lines[-1].split()[0]
            if world.dice.random() < 0.5:
                world.lines.append(f"  {process} {_tool(world)}{flag}")


def _receive(world: _World, flag: str, label: str = "") -> None:
    """A process takes a message; sometimes one that was taken already, sometimes called without a message."""
    dice = world.dice
    process = dice.choice(("P2", "P3", "P4"))
    label = label or dice.choice(world.labels)
    called = label.startswith("s")
    sender = next(line for line in world.lines if line.endswith((f" #{label}", f" #{label}{flag}"))).split()[0]
    run = "r2" if world.runs.get(sender) == "r2" else "r1"
    world.runs[process] = run
    text = f"{process} step(serve) parent={label}{flag}" if called else f"{process} process(q) run={run} #{label}{flag}"
    world.lines.append(text)
    world.open_lines[process] = [_Line(0, text, "step" if called else "process")]


def _operation(world: _World) -> tuple[str, str]:
    dice = world.dice
    kind = dice.choices(
        ("agent", "step", "tool", "read", "write", "send", "llm", "validate", "undo"), (3, 2, 6, 4, 4, 2, 1, 1, 2)
    )[0]
    if kind == "agent":
        return kind, f"agent({dice.choice(_AGENTS)})"
    if kind == "step":
        label = f"s{world.number()}"
        world.labels.append(label)
        return kind, f"step(prepare) #{label}"
    if kind == "tool":
        return kind, _tool(world)
    if kind == "undo" and world.calls:
        outcome = dice.choice(("applied", "applied", "unknown", "refused"))
        return (
            "leaf",
            f"tool(refund) args=x{world.number()} effect=write eo={outcome} undoes={dice.choice(world.calls)}",
        )
    if kind in ("read", "undo"):
        key = dice.choice(_KEYS)
        return "leaf", f"read({key}@{_seen(world, key)})"
    if kind == "write":
        return "leaf", _write(world)
    if kind == "send":
        label = f"m{world.number()}"
        world.labels.append(label)
        return "leaf", f"send(q) #{label}"
    if kind == "llm":
        return "leaf", "llm(m)"
    return "leaf", f"validate(check) verdict={dice.choice(('pass', 'fail'))}"


def _tool(world: _World) -> str:
    dice = world.dice
    words = [f"tool({dice.choice(_TOOLS)})", f"args={dice.choice(_ARGUMENTS)}", "effect=write"]
    if dice.random() < 0.85:
        words.append(f"eo={dice.choices(('applied', 'refused', 'unknown'), (8, 1, 1))[0]}")
    if dice.random() < 0.6:
        again = world.calls and dice.random() < 0.4
        call = dice.choice(world.calls) if again else f"c{world.number()}"
        world.calls.append(call)
        words.append(f"call={call} attempt={world.calls.count(call)}")
    if dice.random() < 0.6:
        words.append(f"target=order/{dice.choice((1, 2))}")
    for word, chance in (("error=TimeoutError", 0.1), ("idem=true", 0.05), ("replayed=true", 0.05), ("open", 0.04)):
        if dice.random() < chance:
            words.append(word)
    if dice.random() < 0.15:
        words.append(f"key=k{dice.choice((1, 2))}")
    if dice.random() < 0.3:
        key = dice.choice(_KEYS)
        words.append(f"used={key}@{_seen(world, key)}")
    if dice.random() < 0.1:
        words.append("scope=other")
    return " ".join(words)


def _write(world: _World) -> str:
    dice = world.dice
    key = dice.choice(_KEYS)
    made = f"v{world.number()}"
    known = world.versions.setdefault(key, [])
    parents = "" if dice.random() < 0.15 else f" <- {dice.choice(known[-2:]) if known else 'init'}"
    known.append(made)
    status = dice.choices(("", " !rolled_back", " !unknown"), (8, 1, 1))[0]
    word = "delete" if len(known) > 1 and dice.random() < 0.1 else "write"
    return f"{word}({key}@{made}{parents}){status}"


def _seen(world: _World, key: str) -> str:
    """A version somebody may have read: mostly the newest, sometimes an older one, sometimes none."""
    known = world.versions.get(key, [])
    if not known:
        return "init"
    return world.dice.choice((known[-1], known[-1], world.dice.choice(known), "init" if len(known) == 1 else known[-1]))
