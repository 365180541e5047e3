"""`driftline keys` and `projects` on a folder without a server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from command import Ended


def test_a_key_is_shown_once_and_alone_on_standard_output(run: Callable[..., Ended]) -> None:
    """So that `KEY=$(driftline keys create …)` works; the list knows everything but the key."""
    made = run("keys", "create", "--role", "viewer", "--name", "dashboard", "--expires", "30d")
    assert made.code == 0
    key = made.out.strip()
    assert key.startswith("driftline_viewer_")
    assert len(made.out.splitlines()) == 1
    listed = run("keys", "list")
    assert key not in listed.out + made.err
    assert key.split("_")[2] in listed.out
    assert "dashboard" in listed.out
    (entry,) = run("keys", "list", "--format", "json").json
    assert (entry["role"], entry["projects"], entry["expired"]) == ("viewer", ["default"], False)


def test_without_keys_the_list_says_so(run: Callable[..., Ended]) -> None:
    """And makes no file."""
    assert run("keys", "list").out == "no keys\n"
    assert [row["project"] for row in run("projects", "list", "--format", "json").json] == ["default"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--role", "owner"], "not one of ingest, viewer, admin"),
        (["--project", "nobody"], "there is no project nobody"),
        (["--project", "a", "--project", "b"], "belongs to one project"),
        (["--expires", "soon"], "no duration"),
        (["--bytes-per-second", "many"], "no size"),
        (["--requests-per-second", "-1"], "--requests-per-second"),
        (["--data", "http://localhost:8123"], "kept in the data folder"),
    ],
)
def test_what_cannot_be_a_key(run: Callable[..., Ended], arguments: list[str], says: str) -> None:
    """What is wrong, before anything is written."""
    refused = run("keys", "create", *arguments)
    assert refused.code == 2
    assert says in refused.err
    assert refused.out == ""


def test_limits_are_kept_through_rotation(run: Callable[..., Ended]) -> None:
    """The new key does what the old one did, and the old one has an end."""
    first = run("keys", "create", "--bytes-per-second", "1.5MB", "--requests-per-second", "20", "--format", "json").json
    second = run("keys", "rotate", first["id"], "--grace", "1h", "--format", "json").json
    assert second["key"] != first["key"]
    assert (second["bytes_per_second"], second["requests_per_second"]) == (1_500_000, 20)
    ends = {key["id"]: key["expires"] for key in run("keys", "list", "--format", "json").json}
    assert ends[second["id"]] is None
    assert ends[first["id"]] is not None
    assert run("keys", "rotate", "nobody").code == 2


def test_a_project_is_created_filled_read_and_deleted(run: Callable[..., Ended]) -> None:
    """Without a server, by the commands alone; `delete` asks."""
    assert run("projects", "create", "team_a").code == 0
    for wrong in ("team_a", "default", "Team", "a-b", "x" * 41):
        assert run("projects", "create", wrong).code == 2
    assert run("runs", "--project", "team_a").code == 2, "nothing has opened it yet"
    refused = run("projects", "delete", "team_a", stdin=b"n\n")
    assert refused.code == 130
    assert "nothing was deleted" in refused.err
    assert run("projects", "delete", "team_a", "--yes").out == "deleted team_a\n"
    assert run("projects", "delete", "team_a", "--yes").code == 2
    assert [row["project"] for row in run("projects", "list", "--format", "json").json] == ["default"]
