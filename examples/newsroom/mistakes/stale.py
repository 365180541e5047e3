"""Mistakes of agents that act on what used to be true: caches, replicas that lag, edits nobody was told of."""

from __future__ import annotations

import time

import driftline
from newsroom.agent import Agent
from newsroom.notebook import STORE, Note, Notebook
from newsroom.planner import Planner
from newsroom.researcher import Researcher
from newsroom.reviewer import Reviewer
from newsroom.writer import Writer


def remembered(note: Note) -> Note:
    """A read that the agent's own cache answers, without asking the notebook."""
    with driftline.memory.read(STORE, note.key) as reading:
        reading.observed(note.version)
    return note


class Replica(Notebook):
    """A copy of the notebook to read from that is one version behind."""

    def newest(self, key: str) -> Note:
        """The version before the newest."""
        return self._page(key, behind=1)


def from_replica(agent: Agent, name: str) -> Note:
    """A read that happens to be answered by the replica."""
    return Replica(agent.office.folder / "notebook.db").read(agent.page(name))


def until_written(agent: Agent, name: str, version: str) -> None:
    """Be busy (a model call takes its time) until somebody else has written *version* of a page."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if agent.notebook.newest(agent.page(name)).version == version:
                return
        except KeyError:
            pass
        time.sleep(0.002)
    raise TimeoutError(f"{name}@{version} was not written")


class KeepsTheFirstPlan(Writer):
    """Writes by the plan it read for the headline, although the request to write came after a new plan."""

    def headline(self) -> None:
        """Remember the plan."""
        super().headline()
        self.first_plan = self.notebook.newest(self.page("plan"))

    def read_plan(self) -> Note:
        """The cache is not asked whether it is current."""
        return remembered(self.first_plan)


class ForgetsItsOwnPlan(Planner):
    """Closes the article by the first plan: its cache was not told of the agent's own second one."""

    def assign(self, plan: Note) -> None:
        """Remember the plan."""
        self.first_plan = plan
        super().assign(plan)

    def close(self) -> None:
        """By the plan as it was."""
        plan = remembered(self.first_plan)
        self.notebook.write(self.page("log"), f"published, {len(plan.value['sections'])} sections", after=None)


class EditsThePlanLate(Planner):
    """Changes the plan once more after the work was handed out, and tells nobody."""

    def assign(self, plan: Note) -> None:
        """A third version."""
        super().assign(plan)
        final = self.notebook.newest(plan.key)
        self.notebook.write(plan.key, {**final.value, "deadline": "noon"}, after=final)


class EditsPlanAndHeadlineLate(EditsThePlanLate):
    """Changes the plan, and then the headline to fit."""

    def assign(self, plan: Note) -> None:
        """The plan first."""
        super().assign(plan)
        self.edit_headline()

    def edit_headline(self) -> None:
        """A second version of the headline."""
        headline = self.notebook.newest(self.page("headline"))
        self.notebook.write(headline.key, f"{headline.value} Today!", after=headline)


class HasTheCopyDeskEditLate(EditsPlanAndHeadlineLate):
    """Changes the plan, and has another agent of its own process change the headline."""

    def edit_headline(self) -> None:
        """Another agent, in the same process: it does as it is told and has read nothing."""
        with driftline.agent("copy desk"):
            super().edit_headline()


class ReadsFromTwoCopies(Writer):
    """Reads the plan for each section, of one copy of the notebook or another: it goes back in time."""

    def read_plan(self) -> Note:
        """The newest plan."""
        until_written(self, "plan", "v3")
        return super().read_plan()

    @driftline.step("section")
    def section(self, plan: Note, name: str) -> str:
        """From the replica."""
        return self.think(f"The {name} of {self.job.topic}", from_replica(self, "plan"))


class TrustsTheHeadline(Writer):
    """Sees the new headline, and then the plan as it was before: half of the planner's change."""

    def read_plan(self) -> Note:
        """The headline is new, the plan is the replica's."""
        until_written(self, "headline", "v2")
        self.notebook.read(self.page("headline"))
        return from_replica(self, "plan")


class FollowsTheLatePlan(Researcher):
    """Sees the late plan and adds to its notes what that asks for."""

    def research(self) -> None:
        """Once more, after the work is handed in."""
        super().research()
        until_written(self, "plan", "v3")
        plan = self.notebook.read(self.page("plan"))
        notes = self.notebook.newest(self.page("notes/past"))
        self.notebook.write(notes.key, f"{notes.value} Until {plan.value['deadline']}.", after=notes)


class HasTheAnswerWithoutTheQuestion(Writer):
    """Uses notes that answer a new plan, and still works by the old one."""

    def read_plan(self) -> Note:
        """The notes are new, the plan is the replica's."""
        until_written(self, "notes/past", "v2")
        self.notebook.read(self.page("notes/past"))
        return from_replica(self, "plan")


class PublishesTheCopyInHand(Reviewer):
    """Mends a comma in the notebook, and publishes the draft as it was before."""

    def publish(self, draft: Note, photo: str) -> None:
        """The old one is still in the variable."""
        self.notebook.write(draft.key, f"{draft.value},", after=draft)
        super().publish(draft, photo)


class CorrectsAfterHandingIn(Writer):
    """Corrects the draft while the reviewer is reading it."""

    def hand_in(self, draft: Note, photo: str) -> None:
        """A correction nobody waits for."""
        super().hand_in(draft, photo)
        until_written(self, "being-read", "v1")
        self.notebook.write(draft.key, f"{draft.value} (corrected)", after=draft)


class ReadsSlowly(Reviewer):
    """Takes so long to check a draft that it has changed by the time it is published."""

    def check(self, draft: Note, *, first: bool) -> str:
        """Meanwhile a correction comes in."""
        self.notebook.write(self.page("being-read"), draft.version, after=None)
        until_written(self, "draft", "v2")
        return super().check(draft, first=False)


class TearsOutANote(Reviewer):
    """Finds a note to be false, removes it from the notebook, and sends the draft back. (No mistake yet.)"""

    def check(self, draft: Note, *, first: bool) -> str:
        """The note on the past is wrong."""
        if not first:
            return super().check(draft, first=False)
        with driftline.validation("facts", targets=[draft.ref]) as check:
            self.notebook.tear_out(self.notebook.read(self.page("notes/past")))
            check.verdict("fail")
        return "the note on the past is false"


class RemembersTheNote(Writer):
    """Mends the draft with the note it remembers, which was removed because it is false."""

    def draft(self) -> None:
        """Remember the note."""
        self.past = self.notebook.newest(self.page("notes/past"))
        super().draft()

    def revise(self, complaint: str, photo: str) -> None:
        """From memory."""
        remembered(self.past)
        super().revise(complaint, photo)
