"""The researcher: looks things up in an archive that does not always answer."""

from __future__ import annotations

import driftline
from newsroom.agent import SECTIONS, Agent
from newsroom.notebook import Note


class Researcher(Agent):
    """Fills the notebook with notes, one page a section."""

    role = "researcher"
    inbox = "research"

    def research(self) -> None:
        """Find something for each section of the plan."""
        plan = self.notebook.read(self.page("plan"))
        for section in SECTIONS:
            self.take_notes(plan, section)
        self.send("planning", "researched")

    def take_notes(self, plan: Note, section: str) -> None:
        """Search for one section and write down what it means."""
        found = self.search(f"{self.job.topic}, {section}")
        meaning = self.think(f"What do {len(found)} reports say about the {section} of {self.job.topic}?", plan)
        self.notebook.write(self.page(f"notes/{section}"), meaning, after=None)

    def search(self, query: str) -> list[str]:
        """Ask the archive, up to three times: each attempt is a span, all of them are one call."""
        found: list[str] = []
        for attempt in driftline.attempts(3, on=(TimeoutError,), wait=0.002):
            with attempt:
                found = self.tools.search_archive(query)
        return found

    def file(self) -> None:
        """Put a published article into the archive, after everybody else has gone on."""
        log = self.think(f"How to file an article on {self.job.topic}?")
        self.notebook.write(self.page("archive"), log, after=None)
