"""The desk: starts the four agents as processes, hands out commissions one by one, and replaces an agent that died."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from newsroom.agent import Office
from newsroom.mistakes import STAFF
from newsroom.post import Job

TOPICS = (
    "the harbour ferry", "the new library", "night trains", "the town choir", "urban beekeeping", "the old observatory",
    "school gardens", "the river dam", "second-hand books", "the tram depot",
)  # fmt: skip


def commission(edition: str, number: int, seed: int, mistake: str = "") -> Job:
    """The *number*th article of an edition."""
    return Job(f"story-{edition}-{number:02}", TOPICS[(seed + number) % len(TOPICS)], f"{seed}/{number}", mistake)


@contextmanager
def staffed(office: Office, endpoint: str = "") -> Iterator[Desk]:
    """The newsroom at work while the block runs; it ends when all that is left in the inboxes is done."""
    desk = Desk(office, endpoint)
    try:
        desk.open()
        desk.wait_for_all()
        yield desk
        desk.close()
    finally:
        desk.send_home()


class Desk:
    """Starts and watches the agent processes."""

    def __init__(self, office: Office, endpoint: str) -> None:
        self._office = office
        self._environment = {**os.environ, "PYTHONPATH": _search_path()}
        if endpoint:
            self._environment["DRIFTLINE_ENDPOINT"] = endpoint
        self._agents: dict[str, subprocess.Popen[bytes]] = {}
        for shared in (office.notebook, office.post, office.world):
            shared()  # creates its file, before four processes try to at once
        self._post = office.post()

    def open(self) -> None:
        """Start everybody who is not at work."""
        for role in STAFF:
            if role not in self._agents or self._agents[role].poll() is not None:
                command = [sys.executable, "-m", "newsroom.worker", role, str(self._office.folder)]
                self._agents[role] = subprocess.Popen(command, env=self._environment)

    def wait_for_all(self) -> None:
        """Until everybody has said that they are ready."""
        for _ in STAFF:
            self._post.take("ready", timeout=60)

    def make(self, job: Job) -> str:
        """Have an article made. '' when it is done, else what went wrong."""
        self._post.put("commissions", job, "commission")
        while True:
            try:
                message = self._post.take("desk", timeout=0.1)
            except TimeoutError:
                self.open()
                continue
            if message.job == job:
                return str(message.body.get("why", ""))

    def close(self) -> None:
        """Let everybody finish what is in their inbox, and go."""
        self.open()
        for role, agent in STAFF.items():
            self._post.put(agent.inbox, Job("", "", ""), "stop")
            while self._agents[role].poll() is None:
                time.sleep(0.01)

    def send_home(self) -> None:
        """End whoever is still there."""
        for process in self._agents.values():
            if process.poll() is None:
                process.terminate()
            process.wait()


def _search_path() -> str:
    ours = str(Path(__file__).resolve().parents[1])
    return os.pathsep.join([ours, *filter(None, [os.environ.get("PYTHONPATH")])])
