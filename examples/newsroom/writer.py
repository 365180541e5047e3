"""The writer: a headline early, the article when the plan is final, and corrections."""

from __future__ import annotations

import contextvars
from concurrent.futures import Future, ThreadPoolExecutor

import driftline
from newsroom.agent import SECTIONS, Agent
from newsroom.notebook import Note


class Writer(Agent):
    """Writes the sections side by side."""

    role = "writer"
    inbox = "writing"

    def headline(self) -> None:
        """A headline for the first plan, while the researcher is still out."""
        plan = self.notebook.read(self.page("plan"))
        text = self.think(f"A headline for {self.job.topic}", plan)
        self.notebook.write(self.page("headline"), text, after=None)
        self.send("planning", "headlined")

    def draft(self) -> None:
        """The article, from the final plan and the notes."""
        plan = self.read_plan()
        headline = self.notebook.read(self.page("headline"))
        text = "\n".join([headline.value, *self.sections(plan)])
        draft = self.notebook.write(self.page("draft"), text, after=None)
        photo = f"{self.job.topic} at dawn"
        self.buy_photo(photo)
        self.hand_in(draft, photo)

    def revise(self, complaint: str, photo: str) -> None:
        """A new version of the draft, after the reviewer has found something."""
        draft = self.notebook.read(self.page("draft"))
        text = self.think(f"Mend this: {complaint}", draft)
        self.hand_in(self.notebook.write(draft.key, f"{draft.value}\n{text}", after=draft), photo)

    def read_plan(self) -> Note:
        """The plan to write by."""
        return self.notebook.read(self.page("plan"))

    def sections(self, plan: Note) -> list[str]:
        """All sections, each in a thread of its own. A copy of the context takes run and turn along."""
        with ThreadPoolExecutor() as pool:
            written = [pool.submit(contextvars.copy_context().run, self.section, plan, name) for name in SECTIONS]
        return self.gather(written)

    def gather(self, written: list[Future[str]]) -> list[str]:
        """The texts; if one could not be written, neither can the article."""
        return [text.result() for text in written]

    @driftline.step("section")
    def section(self, plan: Note, name: str) -> str:
        """One section."""
        notes = self.notebook.read(self.page(f"notes/{name}"))
        return self.think(f"The {name} of {self.job.topic}", plan, notes)

    def buy_photo(self, photo: str) -> None:
        """One photo an article."""
        self.tools.buy_photo(photo, "column")

    def hand_in(self, draft: Note, photo: str) -> None:
        """Ask for a review."""
        self.send("review", "review", version=draft.version, photo=photo)
