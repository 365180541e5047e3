"""One agent process: `python -m newsroom.worker ROLE OFFICE`. Takes messages until it is told to stop."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import driftline
from newsroom.agent import Agent, Office
from newsroom.mistakes import hire
from newsroom.post import Job

_IDLE = 60.0  # seconds without a message after which a process takes it that nobody needs it any more


def work(role: str, office: Office) -> None:
    """Serve one role. An agent lives as long as its article."""
    # The endpoint comes from DRIFTLINE_ENDPOINT. "full": arguments and results leave the process, not only digests.
    driftline.init(f"newsroom-{role}", service_version="1.0", capture="full")
    post = office.post()
    agent: Agent | None = None
    inbox = hire(role).inbox
    post.put("ready", Job("", "", ""), role)
    while (message := post.take(inbox, timeout=_IDLE)).task != "stop":
        if agent is None or agent.job != message.job:
            agent = hire(role, message.job.mistake)(office, message.job)
        try:
            agent.handle(message)
        except Exception as error:  # noqa: BLE001 - one article that fails must not end the newsroom
            sys.stderr.write(f"{role}: {message.job.article}: {type(error).__name__}: {error}\n")
            post.put("desk" if role == "planner" else "planning", message.job, "failed", why=str(error))
    driftline.shutdown()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, TimeoutError):
        work(sys.argv[1], Office(Path(sys.argv[2])))
