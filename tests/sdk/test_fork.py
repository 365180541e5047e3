"""Forks: the child is another process with another clock, and nothing of the parent's is sent twice."""

from __future__ import annotations

import os
import sys
import textwrap

import pytest
from otlp_receiver import Receiver
from recorded_spans import Program

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

FORK = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import driftline
driftline.init("p")
with driftline.step("before"):
    pass
with driftline.run("r", id="r"):
    pid = os.fork()
    name = "parent" if pid else "child"
    with driftline.tool(name):
        with driftline.step(f"in {name}"):
            pass
    if pid:
        os.waitpid(pid, 0)
if not pid:
    with driftline.step("after the block in child"):
        pass
    driftline.shutdown()
    os._exit(0)
"""


def test_parent_and_child(program: Program) -> None:
    """Two instances, each with a clock of its own without gaps; the span around the fork is the parent's alone."""
    with Receiver() as receiver:
        done = program(FORK, DRIFTLINE_ENDPOINT=receiver.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        found = receiver.spans()
    by_instance: dict[str, list[str]] = {}
    ticks: dict[str, list[int]] = {}
    for span in found:
        instance = span.resource["service.instance.id"]
        by_instance.setdefault(instance, []).append(span.name)
        ticks.setdefault(instance, []).extend((span.attributes["driftline.seq"], span.attributes["driftline.seq.end"]))
    assert sorted(sorted(names) for names in by_instance.values()) == [
        ["execute_tool child", "step after the block in child", "step in child"],
        ["execute_tool parent", "invoke_workflow r", "step before", "step in parent"],
    ]
    for one in ticks.values():
        assert sorted(one) == list(range(1, len(one) + 1))
    assert len({span.resource["process.pid"] for span in found}) == 2


def test_the_child_is_still_in_the_run(program: Program) -> None:
    """Run and parent cross the fork; order between the two is that of parent to child."""
    with Receiver() as receiver:
        program(FORK, DRIFTLINE_ENDPOINT=receiver.endpoint)
        found = {span.name: span for span in receiver.spans()}
    assert found["execute_tool child"].attributes["driftline.run.id"] == "r"
    assert found["execute_tool child"].span.parent_span_id == found["invoke_workflow r"].span.span_id


def test_what_the_parent_had_queued_is_sent_once(program: Program) -> None:
    """The child does not inherit the queue."""
    code = """
    import os, driftline
    driftline.init("p")
    for n in range(20):
        with driftline.step(f"s{n}"):
            pass
    pid = os.fork()
    driftline.shutdown()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    """
    with Receiver() as receiver:
        program(textwrap.dedent(code), DRIFTLINE_ENDPOINT=receiver.endpoint)
        names = [span.name for span in receiver.spans()]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing(method: str, program: Program, tmp_path: object) -> None:
    """A worker that ends normally has sent its spans, however it was started, and without saying so."""
    code = f"""
    import multiprocessing, sys, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    sys.path.insert(0, {str(tmp_path)!r})
    from worker import work
    if __name__ == "__main__":
        import driftline
        driftline.init("boss")
        context = multiprocessing.get_context({method!r})
        with driftline.run("r", id="r"):
            carrier = driftline.inject()
            workers = [context.Process(target=work, args=(carrier, n)) for n in range(3)]
            [worker.start() for worker in workers]
            [worker.join() for worker in workers]
            assert [worker.exitcode for worker in workers] == [0, 0, 0]
    """
    worker = """
    import driftline
    from opentelemetry import context
    def work(carrier, n):
        import logging
        logging.getLogger("driftline").disabled = True  # init is called again after a fork
        driftline.init("worker")
        context.attach(driftline.extract(carrier))
        with driftline.agent(f"w{n}"), driftline.tool("t"):
            pass
    """
    (tmp_path / "worker.py").write_text(textwrap.dedent(worker))  # type: ignore[operator]
    with Receiver() as receiver:
        done = program(textwrap.dedent(code), DRIFTLINE_ENDPOINT=receiver.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        found = receiver.spans()
    assert {"invoke_workflow r", "invoke_agent w0", "invoke_agent w1", "invoke_agent w2"} <= {s.name for s in found}
    assert len(found) == 7
    assert len({span.resource["service.instance.id"] for span in found}) == 4
    assert {span.attributes["driftline.run.id"] for span in found} == {"r"}


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_forks_while_threads_trace(program: Program) -> None:
    """A fork in the middle of everything neither hangs the child nor mixes the clocks."""
    code = """
    import os, threading, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    import driftline
    driftline.init("p")
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            with driftline.tool("busy"):
                pass
            stop.wait(0.001)
    threads = [threading.Thread(target=busy) for _ in range(4)]
    [thread.start() for thread in threads]
    children = []
    for n in range(5):
        pid = os.fork()
        if not pid:
            for _ in range(10):
                with driftline.step("child"):
                    pass
            driftline.shutdown()
            os._exit(0)
        children.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    stop.set()
    [thread.join() for thread in threads]
    """
    with Receiver() as receiver:
        done = program(textwrap.dedent(code), DRIFTLINE_ENDPOINT=receiver.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        found = receiver.spans()
    for instance in {span.resource["service.instance.id"] for span in found}:
        ticks = sorted(
            tick
            for span in found
            if span.resource["service.instance.id"] == instance
            for tick in (span.attributes["driftline.seq"], span.attributes["driftline.seq.end"])
        )
        assert ticks == list(range(1, len(ticks) + 1))
    assert [span.name for span in found].count("step child") == 50
