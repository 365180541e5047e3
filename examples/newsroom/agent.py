"""What all four agents have in common: an inbox, a notebook, tools, a model, and a span for every turn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import driftline
from newsroom import model
from newsroom.notebook import Note, Notebook
from newsroom.post import Job, Message, Post
from newsroom.tools import Tools
from newsroom.world import World

SECTIONS = ("past", "present", "future")


@dataclass(frozen=True)
class Office:
    """Where the shared things lie. Every process opens them for itself."""

    folder: Path

    def notebook(self) -> Notebook:
        """The shared memory."""
        return Notebook(self.folder / "notebook.db")

    def post(self) -> Post:
        """The queue."""
        return Post(self.folder / "post.db")

    def world(self) -> World:
        """Everything outside."""
        return World(self.folder / "world.db")


class Agent:
    """An agent at work on one article. Its methods are named after the tasks that messages ask for."""

    role: ClassVar[str]
    inbox: ClassVar[str]

    def __init__(self, office: Office, job: Job) -> None:
        self.office = office
        self.job = job
        self.notebook = office.notebook()
        self.post = office.post()
        self.tools = Tools(office.world(), job)

    def handle(self, message: Message) -> None:
        """Do what a message asks for: one turn.

        `receive` continues the sender's run in this process, and `agent` says whose turn it is. Every span begun
        inside (here or in a thread that was given the context) belongs to both.
        """
        with driftline.receive(self.inbox, message.headers), driftline.agent(self.role):
            getattr(self, message.task)(**message.body)

    def page(self, name: str) -> str:
        """The key of a page of this article."""
        return f"{self.job.article}/{name}"

    def send(self, inbox: str, task: str, **body: object) -> None:
        """Ask another agent for something."""
        self.post.send(inbox, self.job, task, **body)

    def think(self, question: str, *notes: Note) -> str:
        """Ask the model, with some notes before it."""
        with driftline.llm(model.NAME, provider="newsroom") as call:
            said = model.answer(question, self.job.seed, " ".join(str(note.value) for note in notes))
            call.usage(input_tokens=said.input_tokens, output_tokens=said.output_tokens)
            call.context(items=len(notes))
            call.used(*(note.ref for note in notes))
            call.finished("stop")
        return said.text
