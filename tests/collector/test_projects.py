"""Projects come, go and fail one by one: none of it is another's business."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from otlp_requests import request, span
from shared_store import fresh_store
from two_projects import begin

from driftline.collector import Collector
from driftline.collector.access import AccessFile, NoSuchProject, make_key
from driftline.collector.door import Door, DoorStuck
from driftline.collector.otlp import PROTOBUF
from driftline.collector.projects import Projects, delete_data, without_project
from driftline.collector.store import Store, StoreNotFound
from driftline.collector.store.project_databases import database_of, drop_project, open_project

BODY = request(span("kept")).SerializeToString()


@pytest.fixture
def base() -> Iterator[Store]:
    """The shared store, without what a test made beside it."""
    store = fresh_store()
    yield store
    for name in ("one", "two"):
        drop_project(store, name)


def named(folder: Path, *names: str) -> AccessFile:
    access = AccessFile(folder)
    with access.changing() as found:
        access.write(replace(found, projects=names))
    return access


def test_a_database_of_its_own(base: Store) -> None:
    """With all tables and none of the rows of another; a project nobody made is not made by reading."""
    with pytest.raises(StoreNotFound):
        open_project(base, "one", create=False)
    with open_project(base, "one") as store:
        assert store.value("SELECT currentDatabase()") == "default_one"
        assert store.value("SELECT count() FROM steps") == 0
        assert database_of(store.dsn) == "default_one"
        # Each handle is bound, also those that are opened later, in other threads.
        seen: list[str] = []
        threads = [
            threading.Thread(target=lambda: seen.append(str(store.value("SELECT currentDatabase()")))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(seen) == {"default_one"}
    assert base.value("SELECT currentDatabase()") == "default"
    with pytest.raises(ValueError, match="not dropped"):
        drop_project(base, "default")


def test_what_was_acknowledged_before_a_crash_is_stored_in_its_project(base: Store, tmp_path: Path) -> None:
    """Each has a log of its own, read again at the start although nobody enters."""
    access = named(tmp_path, "one")

    def deaf(_name: str, _store: Store, folder: Path, _ending: ExitStack) -> Collector:
        class Away:
            def insert_requests(self, framed: bytes, token: str, signal: str = "traces") -> None:
                raise ConnectionError(f"{token} {signal} {len(framed)}")

        collector = Collector(Away(), folder)
        collector.start()
        return collector

    first = Projects(base, tmp_path, access, deaf)
    first.get("one").collector.receive(BODY, PROTOBUF)
    for project in first.opened():
        project.collector.stop(0.1)  # nothing was stored; the log stays, as after a kill
    assert list((tmp_path / "projects" / "one" / "log").iterdir())
    second = Projects(base, tmp_path, access, begin)
    second.start()
    try:
        project = second.get("one")
        assert project.collector.flush()
        assert project.store.value("SELECT count() FROM steps FINAL WHERE name = 'kept'") == 1
        assert base.value("SELECT count() FROM steps FINAL WHERE name = 'kept'") == 0
    finally:
        second.stop()


def test_one_that_cannot_be_opened_stops_nobody(base: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, tried again, and whoever wants in is told to come later."""
    access = named(tmp_path, "one", "two")
    broken = [True]

    def fragile(name: str, store: Store, folder: Path, ending: ExitStack) -> Collector:
        if name == "one" and broken[0]:
            raise OSError("no room")
        return begin(name, store, folder, ending)

    secret, key = make_key("ingest", ("one",))
    with access.changing() as found:
        access.write(replace(found, keys=(key,)))
    projects = Projects(base, tmp_path, access, fragile)
    with caplog.at_level(logging.ERROR, "driftline.projects"):
        projects.start()
        projects._follow()
    try:
        assert [record.message for record in caplog.records if record.name == "driftline.projects"] == [
            "project one cannot be opened, it is tried again: no room"
        ]
        assert [project.name for project in projects.opened()] == ["default", "two"]
        door = Door(access, projects, keyless=False)
        with pytest.raises(DoorStuck, match="cannot be opened now"):
            door.enter(secret, 1)
        broken[0] = False
        assert door.enter(secret, 1) is projects.get("one").collector
    finally:
        projects.stop()


def test_deleted_is_deleted(base: Store, tmp_path: Path) -> None:
    """Database and folder; a crash on the way is finished by the next start; nobody brings it back by asking."""
    access = named(tmp_path, "one", "two")
    projects = Projects(base, tmp_path, access, begin)
    projects.start()
    projects.get("one").collector.receive(BODY, PROTOBUF)
    with access.changing() as found:
        access.write(without_project(found, "one"))
    projects.stop()  # before it has looked: as after a crash, the database is still there
    again = Projects(base, tmp_path, access, begin)
    again.start()
    try:
        assert access.read().deleting == ()
        assert base.value("SELECT count() FROM system.databases WHERE name = 'default_one'") == 0
        assert not (tmp_path / "projects" / "one").exists()
        with pytest.raises(NoSuchProject):
            again.get("one")
        assert base.value("SELECT count() FROM system.databases WHERE name = 'default_one'") == 0
        assert again.get("two").store.value("SELECT count() FROM steps") == 0
    finally:
        again.stop()
    delete_data(base, tmp_path, "one", access)  # twice changes nothing


def test_the_name_of_a_deleted_one_may_be_used_again(base: Store, tmp_path: Path) -> None:
    """By a new project, in which nothing of the old one is left."""
    access = named(tmp_path, "one")
    projects = Projects(base, tmp_path, access, begin)
    try:
        old = projects.get("one")
        old.collector.receive(BODY, PROTOBUF)
        with access.changing() as found:
            access.write(without_project(found, "one"))
        projects._follow()
        with access.changing() as found:
            access.write(replace(found, projects=("one",)))
        new = projects.get("one")
        assert new.collector is not old.collector
        assert new.store.value("SELECT count() FROM steps") == 0
        new.collector.receive(BODY, PROTOBUF)
        assert new.collector.flush()
        assert new.store.value("SELECT count() FROM steps FINAL") == 1
    finally:
        projects.stop()


def test_keys_go_with_their_project(tmp_path: Path) -> None:
    """A key of several keeps the others."""
    access = named(tmp_path, "one", "two")
    both, alone = make_key("viewer", ("one", "two"))[1], make_key("ingest", ("one",))[1]
    with access.changing() as found:
        left = without_project(replace(found, keys=(both, alone)), "one")
    assert left.keys == (replace(both, projects=("two",)),)
    assert (left.projects, left.deleting) == (("two",), ("one",))
