"""driftline: trace what agents do, so that what they stop doing together can be proved.

import driftline

driftline.init("support-agents")

@driftline.tool(effect="write")
def refund(order: str, cents: int) -> str: ...

with driftline.run("refund-request", expects=["tool:refund"]) as run:
    with driftline.agent("clerk"):
        refund("991", 1200)
    run.outcome("complete")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftline import memory
from driftline._attempts import Attempt, attempt, attempts
from driftline._concepts import llm, retrieval, step, tool, validation
from driftline._handles import AgentHandle, Handle, ModelHandle, ToolHandle, ValidationHandle
from driftline._init import flush, init, shutdown
from driftline._messages import SendHandle, extract, inject, receive, send
from driftline._scope import current_run
from driftline._turns import agent, run
from driftline._version import VERSION
from driftline.errors import DriftlineError, Refused

if TYPE_CHECKING:
    from driftline._redacting import RedactingExporter

__version__ = VERSION

__all__ = [
    "AgentHandle",
    "Attempt",
    "DriftlineError",
    "Handle",
    "ModelHandle",
    "RedactingExporter",
    "Refused",
    "SendHandle",
    "ToolHandle",
    "ValidationHandle",
    "__version__",
    "agent",
    "attempt",
    "attempts",
    "current_run",
    "extract",
    "flush",
    "init",
    "inject",
    "llm",
    "memory",
    "receive",
    "retrieval",
    "run",
    "send",
    "shutdown",
    "step",
    "tool",
    "validation",
]


def __getattr__(name: str) -> Any:
    # Needs OpenTelemetry's SDK, which a program that is not traced does not load.
    if name == "RedactingExporter":
        from driftline._redacting import RedactingExporter

        return RedactingExporter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
