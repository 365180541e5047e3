"""Mistakes that do something twice: retries of what cannot be retried, and agents that do not know of each other."""

from __future__ import annotations

import contextlib

import driftline
from newsroom.agent import Agent
from newsroom.notebook import Note, Notebook
from newsroom.planner import Planner
from newsroom.researcher import Researcher
from newsroom.reviewer import Reviewer
from newsroom.writer import Writer


def buy(agent: Agent, photo: str, size: str = "column") -> None:
    """Buy a photo without an order key: every call that gets through is charged."""
    with driftline.tool("buy_photo", effect="write", targets=[f"photo/{agent.job.article}"]) as call:
        call.arguments({"article": agent.job.article, "photo": photo, "size": size, "credit": "agency"})
        call.result(agent.tools.world.charge(agent.job.article, photo, size))


class RetriesAfterTheReceiptIsLost(Writer):
    """Retries the whole purchase because its receipt did not come, although the agency had confirmed the sale."""

    def buy_photo(self, photo: str) -> None:
        """The retry covers too much."""
        for attempt in driftline.attempts(3, on=(TimeoutError,)):
            with attempt, driftline.tool("buy_photo", effect="write", targets=[f"photo/{self.job.article}"]) as call:
                call.arguments({"article": self.job.article, "photo": photo, "size": "column"})
                receipt = self.tools.world.charge(self.job.article, photo, "column")
                call.applied()
                if attempt.number == 1:
                    raise TimeoutError("the receipt did not come")
                call.result(receipt)


class RetriesAfterATimeout(Writer):
    """Takes a time-out for a failure: the agency had charged, and only its answer was lost."""

    def buy_photo(self, photo: str) -> None:
        """No order key, so the agency cannot know that it is the same purchase."""
        for attempt in driftline.attempts(3, on=(TimeoutError,)):
            with attempt, driftline.tool("buy_photo", effect="write", targets=[f"photo/{self.job.article}"]) as call:
                call.arguments({"article": self.job.article, "photo": photo, "size": "column"})
                receipt = self.tools.world.charge(self.job.article, photo, "column")
                if attempt.number == 1:
                    raise TimeoutError("the agency did not answer")
                call.result(receipt)


class TriesAgainToBeSure(Writer):
    """Does not look at the receipt, and orders once more; that time nobody answers."""

    def buy_photo(self, photo: str) -> None:
        """A retry loop that forgot to stop."""
        order = f"{self.job.article}/{photo}"
        for number in (1, 2):
            with (
                contextlib.suppress(TimeoutError),
                driftline.attempt(number, call_id=order, max=2),
                driftline.tool("buy_photo", effect="write", targets=[f"photo/{self.job.article}"]) as call,
            ):
                call.arguments({"article": self.job.article, "photo": photo, "size": "column"})
                if number == 2:
                    raise TimeoutError("the agency did not answer")
                call.result(self.tools.world.charge(self.job.article, photo, "column"))


class WriterBuys(Writer):
    """Buys the photo, and tells nobody."""

    def buy_photo(self, photo: str) -> None:
        """As ever, but without an order key."""
        buy(self, photo)


class PlannerAnnouncesToo(Planner):
    """Tells the subscribers when the article is through; so does the reviewer. Two agents, one job."""

    def close(self) -> None:
        """Nobody had said whose job it is."""
        self.tools.mail_subscribers(self.job.article)
        super().close()


class ReviewerBuysAnother(Reviewer):
    """Buys the photo of the article in a size it likes better: other words, same intent."""

    def publish(self, draft: Note, photo: str) -> None:
        """A full page, beside the column that is paid for."""
        buy(self, photo, "full page")
        super().publish(draft, photo)


class Overwriting(Notebook):
    """A notebook whose author wrote INSERT OR REPLACE, so that the last to write wins and nobody notices."""

    _insert = "INSERT OR REPLACE INTO pages VALUES (?, ?, ?)"


class ResearcherAddsToThePlan(Researcher):
    """Writes what it found into the plan: version 2."""

    def research(self) -> None:
        """After its notes, a line in the plan."""
        plan = self.notebook.read(self.page("plan"))
        self.notebook.write(plan.key, {**plan.value, "found": "an old map"}, after=plan)
        super().research()


class PlannerOverwritesThePlan(Planner):
    """Makes a version 2 of its own from the version 1 it remembers; what the researcher added is gone."""

    def assign(self, plan: Note) -> None:
        """The store lets it."""
        self.notebook = Overwriting(self.office.folder / "notebook.db")
        super().assign(plan)


class ReadsTheRulesTwice(Reviewer):
    """Asks for the same rules again, as if they had changed meanwhile."""

    times = 2

    def check(self, draft: Note, *, first: bool) -> str:
        """Nothing happens in between."""
        for _ in range(self.times - 1):
            self.tools.style_guide("article")
        return super().check(draft, first=first)


class GoesInCircles(ReadsTheRulesTwice):
    """Asks for the same rules over and over."""

    times = 6


class KeepsAskingForTheFrontPage(Reviewer):
    """Asks for the front page, is turned down, and asks again in the same words."""

    def publish(self, draft: Note, photo: str) -> None:
        """In the end it goes on page 5."""
        with contextlib.suppress(driftline.Refused):
            for attempt in driftline.attempts(3, on=(driftline.Refused,)):
                with attempt:
                    self.reserve_front_page(self.job.article)
        super().publish(draft, photo)

    @driftline.tool(effect="write")
    def reserve_front_page(self, article: str) -> None:
        """Taken."""
        raise driftline.Refused(f"the front page is taken, {article} must wait")
