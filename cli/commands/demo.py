"""`driftline demo`: a server, a real multi-agent program that makes mistakes on purpose, and what is proved of it."""

from __future__ import annotations

import signal
import socket
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli import exit_codes
from driftline.cli.context import PortInUse, check_port
from driftline.cli.terminal import progress, remark, render_text, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from driftline.analyzers import Report
    from driftline.cli.newsroom import Article
    from driftline.cli.serving import Running

_HOST = "127.0.0.1"
_USUAL = ((4318, "--otlp-port"), (8318, "--web-port"), (8123, "--clickhouse-port"))


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("demo")(demo)


def demo(
    seed: Annotated[int, typer.Option(help="The same seed gives the same runs.")] = 1,
    runs: Annotated[int, typer.Option(min=0, help="Runs in which nothing goes wrong.")] = 40,
    faults: Annotated[str, typer.Option(metavar="none|all|NAME", help="Then one run for each of these.")] = "all",
    leave: Annotated[bool, typer.Option("--exit", help="End after the report.", show_default=False)] = False,
    data: Annotated[str | None, typer.Option("--data", metavar="DIR", help="Keep the record here.")] = None,
    otlp_port: Annotated[int | None, typer.Option(help="OTLP/HTTP receiver; default: 4318, or a free one.")] = None,
    web_port: Annotated[int | None, typer.Option(help="Web pages; default: 8318, or a free one.")] = None,
    clickhouse_port: Annotated[int | None, typer.Option(help="ClickHouse HTTP; default: 8123, or a free one.")] = None,
) -> int:
    """Run a newsroom of four agents, some of whose runs go wrong, and show what is found.

    The program is `examples/newsroom`. Everything happens on this machine; nothing is sent anywhere. Exits 0 if the
    report says of each run what it should, 1 if not.
    """
    from driftline.cli.serving import serving

    _expect_mistake(faults)
    ports = _ports(otlp_port, web_port, clickhouse_port)
    with _folder(data) as folder, serving(folder, _HOST, *ports) as running:
        remark("everything happens on this machine, nothing is sent anywhere")
        stop = threading.Event()
        articles = _make(running, stop, seed, runs, faults)
        if stop.is_set():
            return exit_codes.INTERRUPTED
        with _judged(running) as report:
            agreed, summary = _compare(articles, report)
            write(f"{render_text(report, running.server.web)}\n{summary}")
            if not leave:
                write(f"pages  {running.server.web}\ndata   {folder}{'' if data else ' (removed at the end)'}")
                remark("Ctrl-C ends it")
                while not stop.wait(0.5):
                    pass
        return exit_codes.CLEAN if agreed else exit_codes.FINDINGS


def _make(running: Running, stop: threading.Event, seed: int, runs: int, faults: str) -> list[Article]:
    """Let the newsroom work, and wait until the last of its spans can be queried. *stop* is set by Ctrl-C."""
    from driftline.cli.newsroom import Newsroom, mistakes

    # Names of runs come from the seed, but no two runs of one store may have the same.
    edition = "" if running.store.value("SELECT count() FROM steps") else str(seed)
    newsroom = Newsroom(running.server.otlp, seed=seed, runs=runs, faults=faults, edition=edition)

    def end(*_: object) -> None:
        stop.set()
        newsroom.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    wrong = {"none": 0, "all": len(mistakes())}.get(faults, 1)
    began = time.monotonic()
    with progress() as say:
        articles = newsroom.run(lambda done: say("four agents at work", done, runs + wrong))
    if stop.is_set():
        remark("stopped")
        return articles
    running.collector.flush()
    remark(f"{len(articles)} runs of a newsroom in {time.monotonic() - began:.0f} s, {wrong} of them with a mistake")
    return articles


@contextmanager
def _judged(running: Running) -> Iterator[Report]:
    """The report on all runs together: some detectors know what is usual only from many.

    While the block runs, what is sent to the server is judged as ever.
    """
    from driftline.analyzers import analyse, persist
    from driftline.analyzers.loop import AnalysisLoop

    running.loop.stop()
    with progress() as say:
        report = analyse(running.store, progress=say)
    persist(running.store, report)
    loop = AnalysisLoop(running.store)
    loop.start()
    try:
        yield report
    finally:
        loop.stop()


def _compare(articles: list[Article], report: Report) -> tuple[bool, str]:
    """Whether exactly that was found which must be, and a sentence on it."""
    found: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for finding in report.findings:
        found[finding.run_id].add((finding.detector, finding.anomaly, finding.grade))
    lines = []
    for article in articles:
        got, due = found[article.run], article.finds
        for what, which in (("missed", due - got), ("unexpected", got - due)):
            said = ", ".join(f"{detector}.{anomaly} ({grade})" for detector, anomaly, grade in sorted(which))
            if said:
                lines.append(f"{what} in {article.run} ({article.mistake or 'no mistake'}): {said}")
    wrong = [article for article in articles if article.mistake]
    right = sum(found[article.run] == article.finds for article in wrong)
    clean = [article for article in articles if not article.mistake]
    quiet = sum(not found[article.run] for article in clean)
    lines.append(
        f"{right} of {len(wrong)} mistakes found, each for what it is; "
        f"{quiet} of {len(clean)} clean runs without a finding"
    )
    return right == len(wrong) and quiet == len(clean), "\n".join(lines)


def _expect_mistake(name: str) -> None:
    if name in ("none", "all"):
        return
    from driftline.cli.newsroom import mistakes

    known = mistakes()
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"use none, all, or one of {', '.join(known)}"
        raise typer.BadParameter(f"{name!r} is no mistake of the newsroom: {hint}", param_hint="--faults")


def _ports(*asked: int | None) -> tuple[int, int, int]:
    """The port asked for, else the usual one, else, where that is taken, a free one."""
    found = []
    for port, (usual, option) in zip(asked, _USUAL, strict=True):
        try:
            check_port(_HOST, port or usual, option)
            found.append(port or usual)
        except PortInUse:
            if port:
                raise
            found.append(_free_port())
            remark(f"port {usual} is taken; {option} {found[-1]} instead")
    return found[0], found[1], found[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _folder(data: str | None) -> Iterator[str]:
    if data:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="driftline-demo-", ignore_cleanup_errors=True) as folder:
        yield folder
