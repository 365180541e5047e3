"""What can go wrong in a newsroom: each mistake is a small subclass of an agent, and driftline should say what it did.

`MISTAKES` is the one table of them. It is also the answer sheet: `finds` lists what an analysis of the article made
with that mistake must find (detector, anomaly, grade), and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from newsroom.agent import Agent
from newsroom.mistakes import partial, repeated, stale
from newsroom.planner import Planner
from newsroom.researcher import Researcher
from newsroom.reviewer import Reviewer
from newsroom.writer import Writer

STAFF: dict[str, type[Agent]] = {agent.role: agent for agent in (Planner, Reviewer, Writer, Researcher)}
Found = tuple[str, str, str]


@dataclass(frozen=True)
class Mistake:
    """Who does the job instead of the usual staff, and what must be found of it."""

    agents: tuple[type[Agent], ...]
    finds: tuple[Found, ...]


def _repeats(anomaly: str, grade: str, *agents: type[Agent]) -> Mistake:
    return Mistake(agents, (("duplicate_effect", anomaly, grade),))


def _stale(anomaly: str, *agents: type[Agent], grade: str = "definite") -> Mistake:
    return Mistake(agents, (("stale_context", anomaly, grade),))


def _partial(anomaly: str, *agents: type[Agent], grade: str = "definite") -> Mistake:
    return Mistake(agents, (("partial_completion", anomaly, grade),))


MISTAKES: dict[str, Mistake] = {
    "lost_message": _partial("unconsumed_message", partial.HandsItToNobody, grade="possible"),
    "retry_books_twice": _repeats("repeated_effect", "definite", repeated.RetriesAfterTheReceiptIsLost),
    "timeout_books_twice": _repeats("repeated_effect", "possible", repeated.RetriesAfterATimeout),
    "retry_after_success": _repeats("retry_after_success", "possible", repeated.TriesAgainToBeSure),
    "two_agents_act": _repeats("repeated_effect", "definite", repeated.PlannerAnnouncesToo),
    "double_intent": _repeats("double_intent", "possible", repeated.WriterBuys, repeated.ReviewerBuysAnother),
    "lost_compare": _repeats(
        "duplicate_version", "definite", repeated.ResearcherAddsToThePlan, repeated.PlannerOverwritesThePlan
    ),
    "refused_again": _repeats("refused_repeat", "possible", repeated.KeepsAskingForTheFrontPage),
    "read_again": _repeats("redundant_read", "possible", repeated.ReadsTheRulesTwice),
    "in_circles": _repeats("loop", "possible", repeated.GoesInCircles),
    "stale_plan": _stale("handoff_stale", stale.KeepsTheFirstPlan),
    "read_your_writes": _stale("read_your_writes", stale.ForgetsItsOwnPlan),
    "back_in_time": _stale("monotonic_reads", stale.EditsThePlanLate, stale.ReadsFromTwoCopies),
    "half_a_change": _stale("monotonic_writes", stale.EditsPlanAndHeadlineLate, stale.TrustsTheHeadline),
    "answer_without_question": _stale(
        "writes_follow_reads", stale.EditsThePlanLate, stale.FollowsTheLatePlan, stale.HasTheAnswerWithoutTheQuestion
    ),
    "untold_change": _stale("causal_stale_read", stale.HasTheCopyDeskEditLate, stale.TrustsTheHeadline),
    "deleted_note": _stale("resurrected_memory", stale.TearsOutANote, stale.RemembersTheNote),
    "stale_publish": _stale("stale_effect", stale.PublishesTheCopyInHand),
    "late_correction": _stale(
        "stale_effect", stale.CorrectsAfterHandingIn, stale.ReadsSlowly, grade="definite_within_skew"
    ),
    "missing_review": _partial("missing_step", partial.ThinksItIsFine, partial.SaysNothing),
    "false_success": _partial("false_success", partial.PublishesNothing),
    "lost_section": _partial("incomplete_fan_out", partial.LosesASection),
    "swallowed_error": _partial("swallowed_failure", partial.IgnoresTheMailServer, grade="possible"),
    "empty_research": _partial("empty_result", partial.FindsNothing, grade="possible"),
    "crashed_agent": _partial("unfinished_step", partial.DiesFiling, grade="possible"),
}


def hire(role: str, mistake: str = "") -> type[Agent]:
    """Who does a job: the usual agent, unless a mistake is wanted of somebody in that role."""
    careless = MISTAKES[mistake].agents if mistake else ()
    return next((agent for agent in careless if agent.role == role), STAFF[role])
