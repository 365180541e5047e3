"""Mistakes that leave something out while the article counts as done."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from concurrent.futures import Future

import driftline
from newsroom.agent import SECTIONS
from newsroom.notebook import Note
from newsroom.planner import Planner
from newsroom.researcher import Researcher
from newsroom.reviewer import Reviewer
from newsroom.writer import Writer


class ThinksItIsFine(Reviewer):
    """Publishes without a check, which the run has promised."""

    def check(self, draft: Note, *, first: bool) -> str:
        """No look at all."""
        return ""


class SaysNothing(Planner):
    """Ends a run without a word on how it went. What it had promised stays promised."""

    def conclude(self, run: driftline.Handle) -> None:
        """No outcome."""


class LosesASection(Writer):
    """Takes what sections it can get: one was not written, and the article is two thirds of one."""

    def draft(self) -> None:
        """The last section begins with the others and is given up on when they are done."""
        self.together = threading.Barrier(len(SECTIONS))
        self.others = threading.Barrier(len(SECTIONS))
        super().draft()

    @driftline.step("section")
    def section(self, plan: Note, name: str) -> str:
        """The model has no answer to the last."""
        self.together.wait(10)
        text = ""
        if name != SECTIONS[-1]:
            notes = self.notebook.read(self.page(f"notes/{name}"))
            text = self.think(f"The {name} of {self.job.topic}", plan, notes)
        self.others.wait(10)
        if not text:
            raise TimeoutError("the model did not answer")
        return text

    def gather(self, written: list[Future[str]]) -> list[str]:
        """Whatever has no error."""
        return [text.result() for text in written if not text.exception()]


class IgnoresTheMailServer(Reviewer):
    """Catches every error of the mail server, so that nobody hears of it, not even the subscribers."""

    def announce(self) -> None:
        """`except Exception: pass`, in other words."""
        with contextlib.suppress(Exception), driftline.tool("mail_subscribers", effect="write") as call:
            call.arguments({"article": self.job.article})
            raise ConnectionRefusedError("the mail server does not answer")


class PublishesNothing(Reviewer):
    """Is told that the website takes no articles now, and reports the article as published."""

    def publish(self, draft: Note, photo: str) -> None:
        """Refused: nothing was changed, and nothing was published."""
        target = f"page/{self.job.article}"
        publish = driftline.tool("publish", effect="write", targets=[target], used=[draft.ref])
        with contextlib.suppress(driftline.Refused), publish as call:
            call.arguments({"article": self.job.article, "photo": photo})
            raise driftline.Refused("the website is being mended")


class FindsNothing(Researcher):
    """Takes the silence of the archive for an answer, and goes on without a look at it."""

    def take_notes(self, plan: Note, section: str) -> None:
        """About the future the archive returns None: not "no reports", but no answer."""
        if section != SECTIONS[-1]:
            super().take_notes(plan, section)
            return
        with driftline.tool("search_archive", effect="read") as call:
            call.arguments({"query": f"{self.job.topic}, {section}"})
            call.result(None)
        self.notebook.write(self.page(f"notes/{section}"), "", after=None)


class DiesFiling(Researcher):
    """Is killed in the middle of its turn, as by a machine that runs out of memory."""

    def file(self) -> None:
        """What had been recorded by then is on its way; the rest is never written."""
        self.think("Where does it go?")
        driftline.flush()
        os.kill(os.getpid(), signal.SIGKILL)


class HandsItToNobody(Reviewer):
    """Hands the article to the archive, and the queue loses the message."""

    def send(self, inbox: str, task: str, **body: object) -> None:
        """Sent, as far as the sender knows."""
        if task == "file":
            with driftline.send(inbox):
                return
        super().send(inbox, task, **body)
