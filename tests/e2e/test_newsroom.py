"""The newsroom against a real server: nothing is found where nothing is wrong, and of each mistake exactly what it is.

The newsroom keeps a world of its own (photos paid for, articles published, mails sent) that driftline never sees: what
is concluded from the record is compared with what really happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import command
import newsrooms
import pytest
from newsroom.mistakes import MISTAKES
from newsroom.world import World
from newsrooms import Article, Found

pytestmark = pytest.mark.e2e

SEEDS = {1: 40, 2: 20, 3: 20}


@dataclass(frozen=True)
class Outcome:
    """What the program says it did, what driftline says, and the world."""

    articles: list[Article]
    found: dict[str, set[Found]]
    world: World

    def of(self, mistake: str) -> Article:
        """The run with that mistake."""
        (article,) = [article for article in self.articles if article.mistake == mistake]
        return article


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Clean runs of several seeds, and one run of each mistake, sent to `driftline up`."""
    folder = tmp_path_factory.mktemp("newsroom")
    server = command.Up(folder / "data")
    articles: list[Article] = []
    for seed, runs in SEEDS.items():
        options = ["--seed", seed, "--runs", runs, "--edition", seed, "--office", folder / "office"]
        articles += newsrooms.newsroom(
            *map(str, options), "--faults", "all" if seed == 1 else "none", endpoint=server.otlp
        )
    report = newsrooms.report_when_stored(folder / "data", len(articles))
    server.stop()
    yield Outcome(articles, newsrooms.by_run(report), World(folder / "office" / "world.db"))


def test_every_article_was_made(outcome: Outcome) -> None:
    """Mistakes do not stop the program: that is why nobody notices them."""
    assert len(outcome.articles) == sum(SEEDS.values()) + len(MISTAKES)
    assert [article for article in outcome.articles if article.trouble] == []


def test_clean_runs_yield_nothing_at_all(outcome: Outcome) -> None:
    """No finding of any severity, although tools time out and are tried again, drafts are sent back, and work is done
    in threads and four processes."""
    clean = [article for article in outcome.articles if not article.mistake]
    assert len(clean) == sum(SEEDS.values())
    assert {article.run: outcome.found[article.run] for article in clean if outcome.found[article.run]} == {}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_for_what_it_is(outcome: Outcome, mistake: str) -> None:
    """Exactly the findings that the table of mistakes names: none is missing, and one cause gives no second one."""
    article = outcome.of(mistake)
    assert article.finds, f"the table names nothing for {mistake}"
    assert set(article.finds) == outcome.found[article.run]


def test_what_is_called_a_double_purchase_was_paid_twice(outcome: Outcome) -> None:
    """Every purchase that was found to be repeated was charged twice, and no other was."""
    twice = {"retry_books_twice", "timeout_books_twice", "double_intent"}
    charges = {article.run: outcome.world.charges(article.run) for article in outcome.articles}
    assert {outcome.of(mistake).run for mistake in twice} == {run for run, number in charges.items() if number > 1}


def test_what_is_called_a_double_mail_was_sent_twice(outcome: Outcome) -> None:
    """And a failure that was swallowed left the subscribers without one."""
    mails = {article.mistake or "none": outcome.world.mails(article.run) for article in outcome.articles}
    assert {name: number for name, number in mails.items() if number != 1} == {
        "two_agents_act": 2,
        "swallowed_error": 0,
    }


def test_what_is_called_stale_went_out_without_the_correction(outcome: Outcome) -> None:
    """The published text is not the last version; a run said to be a false success published nothing."""
    assert not outcome.world.published(outcome.of("stale_publish").run)[0].endswith(",")
    assert "(corrected)" not in outcome.world.published(outcome.of("late_correction").run)[0]
    assert outcome.world.published(outcome.of("false_success").run) == []
    assert len(outcome.world.published(outcome.of("lost_section").run)[0].splitlines()) == 3  # a headline, two of three


def test_the_program_runs_on_without_a_collector(tmp_path: Path) -> None:
    """Nothing listens; the articles are made all the same."""
    (port,) = command.free_ports(1)
    office = tmp_path / "office"
    articles = newsrooms.newsroom(
        "--runs", "3", "--edition", "1", "--office", office, endpoint=f"http://127.0.0.1:{port}"
    )
    assert [article.trouble for article in articles] == ["", "", ""]
    world = World(office / "world.db")
    assert [len(world.published(article.run)) for article in articles] == [1, 1, 1]


def test_the_same_seed_gives_the_same_articles(tmp_path: Path) -> None:
    """Word for word, whatever process or thread was faster."""
    (port,) = command.free_ports(1)
    texts = []
    for name in ("one", "two"):
        options = ("--seed", "5", "--runs", "4", "--edition", "1", "--office", tmp_path / name)
        articles = newsrooms.newsroom(*options, endpoint=f"http://127.0.0.1:{port}")
        world = World(tmp_path / name / "world.db")
        texts.append([world.published(article.run) for article in articles])
    assert texts[0] == texts[1]
    assert len(set(map(str, texts[0]))) == 4
