"""Reads the history notation (see `histories`): lines in, spans with ticks and times out."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from history_words import OPERATIONS, attributes_of, words_of

T0 = 1_790_000_000_000_000_000
MS = 1_000_000

_LINE = re.compile(r"(?P<indent> *)(?P<process>\S+) +(?P<what>\w+)(?:\((?P<subject>[^)]*)\))?(?P<rest>.*)")


@dataclass
class HistorySpan:
    """One line: what it says, and the ticks and times the notation implies."""

    process: str
    what: str
    subject: str
    words: dict[str, str]
    flags: set[str]
    label: str
    indent: int
    parent: HistorySpan | None
    link: HistorySpan | None
    run: str
    trace: str
    number: int
    host: str
    start: int = 0
    end: int = 0
    seq: int = 0
    seq_end: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def trace_id(self) -> bytes:
        """Ids are hashes of names, so that they can be told from a case's text."""
        return hashlib.sha256(f"trace {self.trace}".encode()).digest()[:16]

    @property
    def span_id(self) -> bytes:
        return hashlib.sha256(f"span {self.trace} {self.process} {self.number}".encode()).digest()[:8]


class _Reader:
    """Reads line by line, with the open spans and the logical clock of each process."""

    def __init__(self) -> None:
        self.spans: list[HistorySpan] = []
        self._labels: dict[str, HistorySpan] = {}
        self._open: dict[str, list[HistorySpan]] = {}
        self._ticks: dict[str, int] = {}
        self._clock = 0

    def line(self, number: int, line: str) -> None:
        """Read one line; comments and empty ones say nothing."""
        code = re.sub(r"(^|\s)#(\s.*)?$", "", line).rstrip()
        if not code.strip():
            return
        match = _LINE.fullmatch(code)
        if not match:
            raise ValueError(f"history line {number + 1}: {line!r} is not understood")
        words, flags, label = words_of(match["rest"])
        if match["what"] == "end":
            self._finish(self._labels[label])
        elif match["what"] in OPERATIONS:
            self._begin(number, match, words, flags, label)
        else:
            raise ValueError(f"history line {number + 1}: unknown operation {match['what']!r}")

    def end(self) -> list[HistorySpan]:
        """End what is still open, innermost first; the spans in order of start."""
        for stack in self._open.values():
            for span in reversed(stack):
                self._finish(span)
        for span in reversed(self.spans):
            self._finish(span)
        for span in self.spans:
            span.attributes = attributes_of(span)
        return self.spans

    def _begin(self, number: int, match: re.Match[str], words: dict[str, str], flags: set[str], label: str) -> None:
        process, what, indent = match["process"], match["what"], len(match["indent"])
        stack = self._leave(process, indent)
        parent = self._labels[words["parent"]] if "parent" in words else (stack[-1] if stack else None)
        run = words.get("run", parent.run if parent else "r1")
        span = HistorySpan(
            process=process,
            what=what,
            subject=match["subject"] or "",
            words=words,
            flags=flags,
            label=label,
            indent=indent,
            parent=parent,
            link=self._labels.get(label) if what == "process" else self._labels.get(words.get("link", "")),
            run=run,
            trace=words.get("trace", parent.trace if parent else f"of {run}"),
            number=number,
            host=words.get("host", process),
        )
        span.seq = self._tick(process)
        span.start = T0 + int(float(words["at"]) * MS) if "at" in words else self._now()
        stack.append(span)
        self.spans.append(span)
        if label:
            self._labels.setdefault(label, span)

    def _leave(self, process: str, indent: int) -> list[HistorySpan]:
        """End the spans that a line at *indent* is not inside of; the ones it is inside of."""
        stack = self._open.setdefault(process, [])
        while stack and stack[-1].indent >= indent:
            done = stack.pop()
            if "stay" not in done.flags:
                self._finish(done)
        return stack

    def _finish(self, span: HistorySpan) -> None:
        if span.end or "open" in span.flags:
            return
        span.seq_end = self._tick(span.process)
        span.end = span.start + int(float(span.words["for"]) * MS) if "for" in span.words else self._now()

    def _tick(self, process: str) -> int:
        self._ticks[process] = self._ticks.get(process, 0) + 1
        return self._ticks[process]

    def _now(self) -> int:
        self._clock += 1
        return T0 + self._clock * MS


def parse(text: str) -> list[HistorySpan]:
    """The spans of a history, in order of start."""
    reader = _Reader()
    for number, line in enumerate(text.splitlines()):
        reader.line(number, line)
    return reader.end()


def leave_open(span: HistorySpan) -> None:
    """Make *span* the copy that is exported when a long span starts: what is known at its end is not on it."""
    span.flags.add("open")
    span.end, span.seq_end = 0, 0
    for word in ("result", "resulttext", "eo", "outcome", "error", "status", "verdict", "finish", "status_of_write"):
        span.words.pop(word, None)
    span.attributes = attributes_of(span)
