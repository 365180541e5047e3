"""Mistakes that leave something out while the article counts as done."""

from __future__ import annotations

import contextlib
import os
import signal
from concurrent.futures import Future

import driftline
from newsroom.agent import SECTIONS
from newsroom.notebook import Note
from newsroom.researcher import Researcher
from newsroom.reviewer import Reviewer
from newsroom.writer import Writer


class ThinksItIsFine(Reviewer):
    """Publishes without a check, which the run has promised."""

    def check(self, draft: Note, *, first: bool) -> str:  # noqa: ARG002 - that is the mistake
        """No look at all."""
        return ""


class LosesASection(Writer):
    """Takes what sections it can get: one was not written, and the article is two thirds of one."""

    @driftline.step("section")
    def section(self, plan: Note, name: str) -> str:
        """The model gives up on the last."""
        if name == SECTIONS[-1]:
            raise RuntimeError("the model refused to look into the future")
        notes = self.notebook.read(self.page(f"notes/{name}"))
        return self.think(f"The {name} of {self.job.topic}", plan, notes)

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
        with contextlib.suppress(driftline.Refused):
            with driftline.tool("publish", effect="write", targets=[target], used=[draft.ref]) as call:
                call.arguments({"article": self.job.article, "photo": photo})
                raise driftline.Refused("the website is being mended")


class FindsNothing(Researcher):
    """Takes an empty answer of the archive for an answer."""

    def search(self, query: str) -> list[str]:
        """Nothing about the past."""
        if not query.endswith(SECTIONS[0]):
            return super().search(query)
        with driftline.tool("search_archive", effect="read") as call:
            call.arguments({"query": query})
            call.result([])
        return []


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
