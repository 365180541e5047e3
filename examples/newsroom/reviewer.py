"""The reviewer: nothing is published unchecked."""

from __future__ import annotations

import driftline
from newsroom.agent import Agent
from newsroom.notebook import Note
from newsroom.world import chance


class Reviewer(Agent):
    """Checks a draft; sends it back or publishes it."""

    role = "reviewer"
    inbox = "review"

    def review(self, version: str, photo: str) -> None:
        """One look at a draft."""
        draft = self.notebook.read(self.page("draft"))
        complaint = self.check(draft, first=version == "v1")
        if complaint:
            self.send("writing", "revise", complaint=complaint, photo=photo)
        else:
            self.publish(draft, photo)
            self.announce()
            self.send("research", "file")
            self.send("planning", "published")

    def check(self, draft: Note, *, first: bool) -> str:
        """What is wrong with a draft; '' = nothing. `targets` says which version was looked at."""
        with driftline.validation("facts", targets=[draft.ref]) as check:
            rules = self.tools.style_guide("article")
            self.think(f"Does the draft follow the rules: {rules}?", draft)
            wrong = first and chance(0.25, self.job.seed, "review")
            check.verdict("fail" if wrong else "pass")
        return "the second number does not add up" if wrong else ""

    def publish(self, draft: Note, photo: str) -> None:
        """Out with it."""
        self.tools.publish(draft, photo)

    def announce(self) -> None:
        """Tell the subscribers."""
        self.tools.mail_subscribers(self.job.article)
