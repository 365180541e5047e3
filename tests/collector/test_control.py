"""The control socket: operations inside the process that owns the store, asked for by the owner of the folder."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from driftline.collector.control import Control, ControlLost, Say, ask, controlled, socket_of
from driftline.errors import DriftlineError


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path) as found:
        yield found


def heard(control: Control, name: str, **arguments: Any) -> tuple[Any, list[str]]:
    said: list[str] = []
    return ask(control.path, name, arguments, said.append), said


def test_progress_and_result_come_back(control: Control) -> None:
    def double(arguments: Mapping[str, Any], say: Say) -> Any:
        say("half way")
        return {"twice": 2 * arguments["number"]}

    control.register("double", double)
    assert heard(control, "double", number=21) == ({"twice": 42}, ["half way"])


def test_what_goes_wrong_is_told_in_words(control: Control) -> None:
    def refuse(_: Mapping[str, Any], _say: Say) -> Any:
        raise DriftlineError("it is shut", "open it")

    def break_(_: Mapping[str, Any], _say: Say) -> Any:
        raise RuntimeError("first line\nsecond")

    control.register("refuse", refuse)
    control.register("break", break_)
    with pytest.raises(DriftlineError) as refused:
        heard(control, "refuse")
    assert (refused.value.what, refused.value.todo) == ("it is shut", "open it")
    with pytest.raises(DriftlineError, match=r"^RuntimeError: first line"):
        heard(control, "break")
    with pytest.raises(DriftlineError, match="does not know 'nothing'"):
        heard(control, "nothing")


def test_only_the_owner_may_connect(control: Control) -> None:
    assert stat.S_IMODE(control.path.stat().st_mode) == 0o600


def test_one_operation_runs_at_a_time(control: Control) -> None:
    running, most = 0, 0
    both = threading.Event()

    def work(_: Mapping[str, Any], say: Say) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        both.wait(10)
        running -= 1
        return None

    control.register("work", work)
    said: list[str] = []

    def note(text: str) -> None:
        said.append(text)
        both.set()

    threads = [threading.Thread(target=ask, args=(control.path, "work", {}, note)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 1
    assert said == ["waiting for another command to end"]


def test_an_end_of_the_server_ends_the_operation_where_it_next_tells(tmp_path: Path) -> None:
    begun, errors = threading.Event(), []

    def endless(_: Mapping[str, Any], say: Say) -> Any:
        while True:
            begun.set()
            say("still at it")

    def client() -> None:
        try:
            ask(socket_of(tmp_path), "endless", {}, lambda _: None)
        except DriftlineError as error:
            errors.append(error.what)

    with controlled(tmp_path) as control:
        control.register("endless", endless)
        thread = threading.Thread(target=client)
        thread.start()
        assert begun.wait(10)
    thread.join(10)
    assert errors == ["the server was told to end and gave this up"]
    assert not control.path.exists()


def test_garbage_and_silent_clients_do_no_harm(control: Control) -> None:
    control.register("fine", lambda _arguments, _say: 1)
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(str(control.path))
    with socket.socket(socket.AF_UNIX) as garbage:
        garbage.connect(str(control.path))
        garbage.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"what" in garbage.recv(1000)
    assert heard(control, "fine")[0] == 1
    silent.close()


def test_a_long_path_gets_a_socket_nearby(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 6)
    deep.mkdir(parents=True)
    with controlled(deep) as control:
        assert len(os.fsencode(control.path)) < 108
        assert stat.S_IMODE(control.path.parent.stat().st_mode) == 0o700
        control.register("fine", lambda _arguments, _say: 1)
        assert heard(control, "fine")[0] == 1


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ControlLost, match="does not answer"):
        ask(socket_of(tmp_path), "compact", {}, print)
