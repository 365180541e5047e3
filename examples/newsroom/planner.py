"""The planner: takes an article on, hands out the work, and answers for the whole."""

from __future__ import annotations

import driftline
from newsroom.agent import SECTIONS, Agent
from newsroom.notebook import Note
from newsroom.post import Message

# What a run promises. A run that claims to be complete and has not done all of this is found out.
PROMISES = (
    "agent:researcher", "tool:search_archive*3", "agent:writer", "tool:buy_photo", "validate:facts", "tool:publish",
)  # fmt: skip


class Planner(Agent):
    """Opens the run, and is the only agent that waits for others."""

    role = "planner"
    inbox = "commissions"
    replies = "planning"

    def handle(self, message: Message) -> None:
        """A commission comes from no run; it begins one."""
        self.commission()
        self.post.put("desk", message.job, "done")

    def commission(self) -> None:
        """Make an article, from the idea to the page."""
        # An id of your own, where you have one that never comes again; else leave it out.
        with driftline.run("article", id=self.job.article, expects=PROMISES) as run:
            with driftline.agent(self.role):
                plan = self.plan()
            self.hear("researched", "headlined")
            with driftline.agent(self.role):
                self.assign(plan)
            self.hear("published")
            with driftline.agent(self.role):
                self.close()
            self.conclude(run)

    def conclude(self, run: driftline.Handle) -> None:
        """What the program itself says of the run: `complete`, or `partial`, `failed`, `cancelled`."""
        run.outcome("complete")

    def plan(self) -> Note:
        """A first plan; the researcher and the writer can begin."""
        idea = self.think(f"What is there to say about {self.job.topic}?")
        plan = self.notebook.write(self.page("plan"), {"idea": idea, "sections": SECTIONS}, after=None)
        self.send("research", "research")
        self.send("writing", "headline")
        return plan

    def assign(self, plan: Note) -> None:
        """The final plan, in the light of what was found; the writer can write."""
        found = self.notebook.read_all(self.page(f"notes/{section}") for section in SECTIONS)
        angle = self.think(f"Which angle on {self.job.topic}?", plan, *found)
        self.notebook.write(plan.key, {**plan.value, "angle": angle}, after=plan)
        self.send("writing", "draft")

    def close(self) -> None:
        """Write down what became of it."""
        plan = self.notebook.read(self.page("plan"))
        self.notebook.write(self.page("log"), f"published, {len(plan.value['sections'])} sections", after=None)

    def hear(self, *tasks: str) -> None:
        """Wait until each of *tasks* was reported. The run goes on here, with links to the senders' spans."""
        missing = set(tasks)
        while missing:
            message = self.post.take(self.replies, timeout=60)
            if message.job != self.job:
                continue  # about an article that is through
            if message.task not in missing:
                raise RuntimeError(f"{message.task}: {message.body}")
            missing.remove(message.task)
            with driftline.receive(self.replies, message.headers):
                pass
