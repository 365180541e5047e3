"""What the agents can do. Each tool says whether it acts on the world: a write that is made twice is two writes."""

from __future__ import annotations

import driftline
from newsroom.notebook import Note
from newsroom.post import Job
from newsroom.world import World, chance


class Tools:
    """The tools of one agent, for one article."""

    def __init__(self, world: World, job: Job) -> None:
        self.world = world
        self.job = job
        self._tries: dict[str, int] = {}

    @driftline.tool(effect="read")
    def search_archive(self, query: str) -> list[str]:
        """What has been written before. Slow at times: the first try may time out."""
        if self.first_try("search", query) and chance(0.3, self.job.seed, "search", query):
            raise TimeoutError("the archive did not answer")
        return [f"{query}, report of {year}" for year in (2019, 2023)]

    @driftline.tool(effect="read")
    def style_guide(self, kind: str) -> str:
        """The house rules for a kind of article."""
        return f"a {kind} has three sections and no adjectives"

    def buy_photo(self, photo: str, size: str) -> str:
        """Buy the rights to a photo, trying again if the agency does not answer.

        A time-out leaves it open whether the agency has taken the money. The order key makes the second try safe:
        `idempotent=True` tells driftline so.
        """
        order = f"{self.job.article}/{photo}"
        target = f"photo/{self.job.article}"
        receipt = ""
        for attempt in driftline.attempts(3, on=(TimeoutError,)):
            with (
                attempt,
                driftline.tool("buy_photo", effect="write", idempotent=True, key=order, targets=[target]) as call,
            ):
                call.arguments({"article": self.job.article, "photo": photo, "size": size})
                receipt = self.world.charge(self.job.article, photo, size, order)
                if self.first_try("buy", photo) and chance(0.2, self.job.seed, "buy", photo):
                    raise TimeoutError("the agency did not answer")
                call.result(receipt)
        return receipt

    def publish(self, draft: Note, photo: str) -> None:
        """Put the article on the website. `used` says which version of the draft: it must be the newest by then."""
        target = f"page/{self.job.article}"
        with driftline.tool("publish", effect="write", targets=[target], used=[draft.ref]) as call:
            call.arguments({"article": self.job.article, "photo": photo})
            self.world.publish(self.job.article, draft.value)

    @driftline.tool(effect="write")
    def mail_subscribers(self, article: str) -> None:
        """Tell everybody."""
        self.world.mail(article)

    def first_try(self, what: str, which: str) -> bool:
        """Whether this is asked for the first time."""
        name = f"{what}/{which}"
        self._tries[name] = self._tries.get(name, 0) + 1
        return self._tries[name] == 1
