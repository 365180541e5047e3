"""Delivery: a collector that is away, hangs or refuses never harms the program, and what can be saved is."""

from __future__ import annotations

import logging
import socket
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from otlp_receiver import Receiver
from recorded_spans import Program

import driftline
from driftline import _batch
from driftline._batch import BatchProcessor

PROGRAM = """
import sys, time
import driftline
driftline.init("p")
started = time.monotonic()
@driftline.tool(effect="write")
def act(n):
    return n
with driftline.run("r") as run:
    assert [act(n) for n in range(int(sys.argv[1]))] == list(range(int(sys.argv[1])))
    time.sleep(float(sys.argv[2]))
    run.outcome("complete")
print("the program's own output")
"""


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def nobody() -> str:
    """An address nobody listens at."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


def _runs_unharmed(program: Program, endpoint: str, spans: str = "3", seconds: str = "0") -> str:
    """What a program logs that sends to *endpoint*; it ended well, and within the bound of a shutdown."""
    began = time.monotonic()
    done = program(PROGRAM, spans, seconds, DRIFTLINE_ENDPOINT=endpoint)
    assert (done.returncode, done.stdout) == (0, "the program's own output\n"), done.stderr
    # The bound of a shutdown is 5 seconds; the rest is a generous interpreter start on a busy machine.
    assert time.monotonic() - began < 30
    return done.stderr


def test_nobody_listens(program: Program, nobody: str) -> None:
    """One line says so, names the address and the remedies."""
    said = _runs_unharmed(program, nobody)
    assert len(said.splitlines()) == 1
    assert f"cannot deliver spans to {nobody}/v1/traces (ConnectionError)" in said
    assert "DRIFTLINE_DISABLED=1" in said


def test_nobody_listens_for_longer(program: Program, nobody: str) -> None:
    """Also over many batches and retries it stays at one line."""
    assert len(_runs_unharmed(program, nobody, "2000", "2").splitlines()) == 1


def test_no_such_host(program: Program) -> None:
    """A name that cannot be resolved is the same case."""
    assert len(_runs_unharmed(program, "http://no-such-host.invalid:4318").splitlines()) == 1


def test_a_collector_that_hangs(program: Program, deaf: str) -> None:
    """The program ends when its time is up, not when the collector's is."""
    assert len(_runs_unharmed(program, deaf).splitlines()) <= 1


@pytest.mark.parametrize("answer", [400, 404, 413, 500, 503])
def test_a_collector_that_refuses(program: Program, answer: int) -> None:
    """An answer that is an error costs the spans and one line."""
    with Receiver([answer]) as receiver:
        said = _runs_unharmed(program, receiver.endpoint)
    assert len(said.splitlines()) == 1
    assert "cannot deliver spans" in said


def test_what_no_endpoint_is(program: Program) -> None:
    """A value no URL can be made of."""
    for endpoint in ("not a url", "http://", "ftp://x", "http://[::1"):
        assert len(_runs_unharmed(program, endpoint).splitlines()) == 1


def test_everything_arrives(program: Program) -> None:
    """A program that ends normally has sent every span, once."""
    with Receiver() as receiver:
        assert _runs_unharmed(program, receiver.endpoint, "3000") == ""
        found = receiver.spans()
    assert 3001 == len(found) == len({span.span.span_id for span in found})
    ticks = sorted(
        tick for span in found for tick in (span.attributes["driftline.seq"], span.attributes["driftline.seq.end"])
    )
    assert list(range(1, 6003)) == ticks


def test_a_collector_that_comes_back() -> None:
    """Spans wait while it is busy or away, and arrive later."""
    with Receiver([503, 503, 200]) as receiver:
        driftline.init("p", tracer_provider=TracerProvider(shutdown_on_exit=False), endpoint=receiver.endpoint)
        with driftline.step("patient"):
            pass
        assert driftline.flush(20)
        assert [span.name for span in receiver.spans()] == ["step patient"]
        assert receiver.requests == 3


def test_flush_is_bounded(nobody: str) -> None:
    """It says that nothing was delivered, and does not wait for ever."""
    driftline.init("p", tracer_provider=TracerProvider(shutdown_on_exit=False), endpoint=nobody)
    with driftline.step("s"):
        pass
    assert not driftline.flush(0.2)
    driftline.shutdown(0.2)


def test_flush_without_anything_to_send(nobody: str) -> None:
    """Nothing to send is sent at once."""
    assert driftline.flush()
    driftline.init("p", tracer_provider=TracerProvider(shutdown_on_exit=False), endpoint=nobody)
    assert driftline.flush()


def test_the_log_of_others_stays(caplog: pytest.LogCaptureFixture, nobody: str) -> None:
    """Only complaints about our own transport are kept out of the log: the program's exporter may speak."""
    driftline.init("p", tracer_provider=TracerProvider(shutdown_on_exit=False), endpoint=nobody)
    with driftline.step("s"):
        pass
    driftline.flush(0.5)
    theirs = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    logging.getLogger(theirs).warning("as their exporter would")
    assert [record.name for record in caplog.records] == ["driftline", theirs]


def test_one_bad_span_costs_itself_only() -> None:
    """A span of the program's that cannot be encoded does not take its batch along."""
    provider = TracerProvider(shutdown_on_exit=False)
    with Receiver() as receiver:
        driftline.init("p", tracer_provider=provider, endpoint=receiver.endpoint)
        for name in ("a", "bad \ud800", "b"):
            provider.get_tracer("program").start_span(name).end()
        assert not driftline.flush()
        assert [span.name for span in receiver.spans()] == ["a", "b"]


def test_a_refused_batch_is_not_sent_again_in_pieces() -> None:
    """A collector that refuses is asked once a batch."""
    with Receiver([400]) as receiver:
        driftline.init("p", tracer_provider=TracerProvider(shutdown_on_exit=False), endpoint=receiver.endpoint)
        for _ in range(20):
            with driftline.step("s"):
                pass
        assert not driftline.flush()
        assert receiver.requests <= 2


class Raising(SpanExporter):
    """Raises instead of failing."""

    def export(self, spans: object) -> SpanExportResult:
        raise RuntimeError("broken exporter")

    def shutdown(self) -> None:
        """Nothing is to be closed."""


def test_an_exporter_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """The thread that sends lives on, with one line in the log."""
    driftline.init("p", tracer_provider=TracerProvider(shutdown_on_exit=False), exporter=Raising())
    for _ in range(3):
        with driftline.step("s"):
            pass
        assert not driftline.flush()
    (record,) = caplog.records
    assert record.getMessage().startswith("driftline cannot deliver spans (RuntimeError: broken exporter). Your code")


class Slow:
    """A sender that can be held up."""

    worth_retrying = False

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.hold = True

    def send(self, spans: object, given_up: int) -> Sequence[ReadableSpan]:
        while self.hold:
            time.sleep(0.001)
        self.batches.append(len(spans))  # type: ignore[arg-type]
        self.told = given_up
        return ()

    def shutdown(self) -> None:
        """Nothing is to be closed."""


def _span() -> ReadableSpan:
    return TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("s")  # type: ignore[return-value]


def test_a_full_queue_drops_the_newest(caplog: pytest.LogCaptureFixture) -> None:
    """Memory is bounded; that spans are dropped is said once, and how many to the collector."""
    sender = Slow()
    processor = BatchProcessor(lambda: sender)
    span = _span()
    for _ in range(3 * _batch.QUEUE):
        processor.on_end(span)
    sender.hold = False
    assert processor.force_flush(20_000)
    assert _batch.QUEUE <= sum(sender.batches) <= _batch.QUEUE + 2 * _batch.BATCH
    assert max(sender.batches) <= _batch.BATCH
    assert len(caplog.records) == 1
    assert sender.told == processor.given_up == 3 * _batch.QUEUE - sum(sender.batches)
    processor.close(5)


def test_lost_spans_are_counted_for_the_collector() -> None:
    """Every batch after a loss says how many the process has lost so far; before there is nothing to say."""
    with Receiver([200, 400, 200]) as receiver:
        driftline.init("p", tracer_provider=TracerProvider(shutdown_on_exit=False), endpoint=receiver.endpoint)
        for name, arrives in (("a", True), ("lost", False), ("b", True)):
            with driftline.step(name):
                pass
            assert driftline.flush() == arrives
        told = {span.name: span.resource.get("driftline.sdk.dropped") for span in receiver.spans()}
    assert told == {"step a": None, "step b": 1}


def test_closing_is_bounded() -> None:
    """A sender that never returns does not hold the program; afterwards spans are ignored."""
    sender = Slow()
    processor = BatchProcessor(lambda: sender)
    processor.on_end(_span())
    began = time.monotonic()
    processor.close(0.2)
    processor.close(0.2)
    assert time.monotonic() - began < 5
    processor.on_end(_span())
    assert processor.force_flush()
    sender.hold = False


def test_at_the_very_end_of_the_interpreter(program: Program) -> None:
    """A span that ends in an exit handler is sent, though threads can no longer be started there."""
    code = """
    import atexit, driftline
    def late():
        with driftline.step("late"):
            pass
        driftline.shutdown()
    driftline.init("p")
    atexit.register(late)
    """
    with Receiver() as receiver:
        done = program(code, DRIFTLINE_ENDPOINT=receiver.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        assert [span.name for span in receiver.spans()] == ["step late"]


def test_standard_variables(program: Program) -> None:
    """Without an endpoint of ours OpenTelemetry's own variables count, headers included."""
    with Receiver() as receiver:
        done = program(
            PROGRAM, "1", "0", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_EXPORTER_OTLP_COMPRESSION="gzip"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert len(receiver.spans()) == 2


def test_without_the_usual_http_client(program: Program) -> None:
    """Where OpenTelemetry's exporter comes with another client, spans are sent through that."""
    code = 'import sys; sys.modules["driftline._session"] = None\n' + PROGRAM
    with Receiver() as receiver:
        done = program(code, "1", "0", DRIFTLINE_ENDPOINT=receiver.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(receiver.spans()) == 2


def test_an_endpoint_with_its_path(program: Program) -> None:
    """Whether the path is written or not, it is there once."""
    with Receiver() as receiver:
        for written in (f"{receiver.endpoint}/", f"{receiver.endpoint}/v1/traces"):
            assert _runs_unharmed(program, written, "1") == ""
        assert len(receiver.spans()) == 4


def test_our_requests_are_not_traced() -> None:
    """An instrumented HTTP client would trace the sending of traces, for ever."""
    seen: list[object] = []

    class Watching(Slow):
        def send(self, spans: object, given_up: int) -> Sequence[ReadableSpan]:
            from opentelemetry import context

            seen.append(context.get_value("suppress_instrumentation"))
            return ()

    processor = BatchProcessor(Watching)
    processor.on_end(_span())
    assert processor.force_flush()
    processor.close(1)
    assert seen == [True]


def test_a_crash_leaves_a_pending_run(program: Program) -> None:
    """What had begun when the process died is known to have begun."""
    code = """
    import os, driftline
    driftline.init("p")
    with driftline.run("r"), driftline.agent("a"):
        driftline.flush()
        os._exit(9)
    """
    with Receiver() as receiver:
        assert program(textwrap.dedent(code), DRIFTLINE_ENDPOINT=receiver.endpoint).returncode == 9
        found = receiver.spans(pending=True)
    assert [span.name for span in found] == ["invoke_workflow r", "invoke_agent a"]
    assert all(span.attributes["driftline.pending"] for span in found)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c(program: Program) -> None:
    """An interrupted program sends what had ended, and its own traceback is the only one."""
    code = """
    import os, signal, driftline
    driftline.init("p")
    with driftline.run("r"):
        with driftline.tool("t"):
            pass
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    """
    with Receiver() as receiver:
        done = program(textwrap.dedent(code), DRIFTLINE_ENDPOINT=receiver.endpoint)
        found = {span.name: span for span in receiver.spans()}
    assert done.stderr.count("Traceback") == 1
    assert {"execute_tool t", "invoke_workflow r"} == set(found)
    assert found["invoke_workflow r"].attributes["error.type"] == "KeyboardInterrupt"
