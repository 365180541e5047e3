"""The tool decorators of other tracing libraries, each measured in an environment of its own.

    python bench/sdk_overhead.py --rivals

Each is installed as its newest release into a temporary environment, beside opentelemetry-sdk; what cannot be installed
or set up without an account is said and skipped. Each traces the same function, with arguments and result as it does by
default, and sends into a batch processor whose exporter reads everything and forgets it; where a library allows no
exporter of ours, it sends to a server that says yes to everything, or (MLflow) writes to SQLite; `all` includes that.
The call traced by hand is measured in the same process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from tracing.costs import Call, Flush, Reading, alternate, by_hand, head, one_after_the_other, show
from typing_extensions import Self

_SERVER = os.environ.get("BENCH_SERVER", "")
Made = tuple[Call, Flush]


def _processor() -> BatchSpanProcessor:
    return BatchSpanProcessor(Reading(), max_queue_size=8192)


def _provider() -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(_processor())
    return provider


def _work(order: str, cents: int) -> str:  # noqa: ARG001
    return f"refunded {cents}"


def _genai() -> Made:
    from opentelemetry.util.genai.handler import get_telemetry_handler

    provider = _provider()
    handler = get_telemetry_handler(tracer_provider=provider)

    def refund(order: str, cents: int) -> str:
        with handler.tool("refund", tool_type="function", agent_name="clerk", tool_call_id="c") as call:
            call.arguments = {"order": order, "cents": cents}
            call.tool_result = result = _work(order, cents)
            return result

    return refund, provider.force_flush


def _traceloop() -> Made:
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import tool

    processor = _processor()
    Traceloop.init(app_name="bench", processor=processor, telemetry_enabled=False, instruments=set())
    return tool(name="refund")(_work), processor.force_flush


def _logfire() -> Made:
    import logfire

    processor = _processor()
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[processor])
    return logfire.instrument("execute_tool refund", record_return=True)(_work), processor.force_flush


def _openinference() -> Made:
    from openinference.instrumentation import TracerProvider as Theirs

    provider = Theirs()
    provider.add_span_processor(_processor())
    return provider.get_tracer("bench").tool(_work), provider.force_flush


def _langfuse() -> Made:
    from langfuse import Langfuse, observe

    provider = _provider()
    client = Langfuse(public_key="pk-bench", secret_key="sk-bench", host=_SERVER, tracer_provider=provider,
                      span_exporter=Reading())  # fmt: skip
    return observe(name="refund", as_type="tool")(_work), client.flush


def _mlflow() -> Made:
    import mlflow
    from mlflow.entities import SpanType

    mlflow.set_tracking_uri("sqlite:///traces.db")  # without a server it traces nothing at all
    call = mlflow.trace(name="refund", span_type=SpanType.TOOL)(_work)
    call("991", 1)
    if mlflow.get_last_active_trace_id() is None:
        raise ValueError("MLflow does not trace here")
    return call, mlflow.flush_trace_async_logging


def _opik() -> Made:
    import opik

    return opik.track(name="refund", type="tool")(_work), opik.flush_tracker


def _weave() -> Made:
    import weave

    client = weave.init("bench/bench")
    return weave.op(name="refund")(_work), client.flush


# By name: what to install, and how to trace. Traceloop's package does not ask for the httpx it needs.
RIVALS: dict[str, tuple[str, Callable[[], Made]]] = {
    "OpenTelemetry util-genai": ("opentelemetry-util-genai", _genai),
    "Traceloop": ("traceloop-sdk httpx", _traceloop),
    "Logfire": ("logfire", _logfire),
    "OpenInference": ("openinference-instrumentation", _openinference),
    "Langfuse": ("langfuse", _langfuse),
    "MLflow": ("mlflow", _mlflow),
    "Opik": ("opik", _opik),
    "Weave": ("weave", _weave),
}


_OF_OPENTELEMETRY = ("OpenTelemetry util-genai", "Traceloop", "Logfire", "OpenInference", "Langfuse")


def measure(name: str, rounds: int, count: int) -> list[float]:
    """The figures of one library, in this environment."""
    call, flush = RIVALS[name][1]()
    call("991", 1)
    flush()
    if name in _OF_OPENTELEMETRY and not Reading.read:
        raise ValueError(f"{name} exports nothing here")
    theirs = by_hand(Reading())
    ours, raw = one_after_the_other(call, flush), one_after_the_other(theirs.plain, theirs.flush)
    with trace.use_span(trace.INVALID_SPAN):
        ours(count)
        raw(count)
        return alternate(ours, raw, rounds, count)


def compare_all(rounds: int, count: int, seconds: int = 600) -> None:
    """Print the table of all of them."""
    print("\nother libraries' tool decorators")
    head("theirs")
    for name, (package, _) in RIVALS.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                venv.create(folder, with_pip=True)
                show(
                    name,
                    _apart(Path(folder) / "bin" / "python", name, package, min(rounds, 7), min(count, 300), seconds),
                )
            except (subprocess.SubprocessError, ValueError, OSError) as error:
                print(f"{name:<32}  skipped: {_reason(error)}", flush=True)


def _apart(python: Path, name: str, package: str, rounds: int, count: int, seconds: int) -> list[float]:
    quiet = ("--quiet", "--disable-pip-version-check")
    install = [python, "-m", "pip", "install", *quiet, *package.split(), "opentelemetry-sdk"]
    subprocess.run(install, check=True, timeout=seconds, capture_output=True, text=True)
    return apart(python, name, rounds, count, seconds)


def apart(python: Path, name: str, rounds: int, count: int, seconds: int) -> list[float]:
    """The figures of one library, measured by another interpreter that has it."""
    with tempfile.TemporaryDirectory() as home, _Yes() as server:
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": home, "BENCH_SERVER": server.url,
                       "OPIK_URL_OVERRIDE": server.url, "OPIK_SENTRY_ENABLE": "false"}  # fmt: skip
        command = [python, __file__, name, str(rounds), str(count)]
        done = subprocess.run(
            command, check=True, timeout=seconds, capture_output=True, text=True, env=environment, cwd=home
        )
    found: Any = json.loads(done.stdout.strip().splitlines()[-1])
    return [float(cell) for cell in found]


class _Yes:
    """A server in this process that answers `{}` to whatever it is sent."""

    def __enter__(self) -> Self:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self.answer
                raise AttributeError(name)

            def answer(self) -> None:
                """Yes."""
                self.rfile.read(int(self.headers.get("content-length") or 0))
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_how: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"took longer than {error.timeout:.0f} seconds"
    said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
    return said[-1][:150] if said else type(error).__name__


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
    sys.stdout.flush()
    os._exit(0)  # some wait long at the end for servers that are not there
