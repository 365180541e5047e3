"""The file of keys: what is kept, who is let in, and that a damaged file lets in nobody."""

from __future__ import annotations

import json
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from driftline.collector.access import Access, AccessFile, AccessUnreadable, UnusableName, check_project_name, make_key
from driftline.collector.door import key_in
from driftline.collector.quotas import Quotas


def put(file: AccessFile, **changes: object) -> None:
    with file.changing() as found:
        file.write(replace(found, **changes))  # type: ignore[arg-type]


def test_no_file_means_no_keys(tmp_path: Path) -> None:
    """And nobody is refused a start for it."""
    assert AccessFile(tmp_path).read() == Access()


def test_a_key_is_found_by_itself_alone(tmp_path: Path) -> None:
    """Not by its id, not by its digest, not by another of the same id."""
    file = AccessFile(tmp_path)
    secret, key = make_key("viewer", ("default",))
    put(file, keys=(key,))
    read = file.read()
    assert read.find(secret, 0) == key
    for other in ("", key.id, key.digest, secret[:-1], secret + "x", secret.swapcase(), f"{secret[:-1]}é", "\ud800"):
        assert read.find(other, 0) is None


def test_the_key_itself_is_kept_nowhere(tmp_path: Path) -> None:
    """Only its digest, in a file that its owner alone may read."""
    file = AccessFile(tmp_path)
    secret, key = make_key("ingest", ("default",))
    old = os.umask(0)
    try:
        put(file, keys=(key,))
    finally:
        os.umask(old)
    text = file.path.read_text(encoding="utf-8")
    assert secret.rpartition("_")[2] not in text
    assert key.digest in text
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        (b"Authorization", b"Bearer KEY", "KEY"), (b"authorization", b"bearer  KEY ", "KEY"),
        (b"authorization", b"Basic dXNlcjpLRVk=", "KEY"), (b"authorization", b"KEY", "KEY"),
        (b"X-Driftline-Key", b"KEY", "KEY"), (b"x-api-key", b"KEY", "KEY"), (b"X-ClickHouse-Key", b"KEY", "KEY"),
        (b"authorization", b"Basic :", ":"), (b"x-api-key", b"", None), (b"cookie", b"KEY", None),
    ],
)  # fmt: skip
def test_where_a_request_brings_its_key(name: bytes, value: bytes, key: str | None) -> None:
    """In a header of either protocol."""
    assert key_in([(b"host", b"x"), (name, value)]) == key


def test_keys_are_long_and_never_the_same() -> None:
    """Forty letters and digits by chance: that is why a quick hash is enough."""
    secrets = {make_key("admin", ("default",))[0] for _ in range(200)}
    assert len(secrets) == 200
    assert {len(secret.rpartition("_")[2]) for secret in secrets} == {40}


def test_a_key_ends_with_its_time(tmp_path: Path) -> None:
    """To the second."""
    file = AccessFile(tmp_path)
    secret, key = make_key("viewer", ("default",), expires=1000.0)
    put(file, keys=(key,))
    assert file.read().find(secret, 999.9) == key
    assert file.read().find(secret, 1000.0) is None


def test_a_change_is_seen_at_once(tmp_path: Path) -> None:
    """By whoever has the file open for long: a running server."""
    server, command = AccessFile(tmp_path), AccessFile(tmp_path)
    for number in range(50):
        secret, key = make_key("viewer", ("default",), name=str(number))
        put(command, keys=(key,))
        assert server.read().find(secret, 0) == key
    put(command, keys=())
    assert server.read().keys == ()


def test_many_change_it_at_once(tmp_path: Path) -> None:
    """No change is lost, and no reader sees half of one."""

    def add() -> None:
        for _ in range(10):
            file = AccessFile(tmp_path)
            with file.changing() as found:
                file.write(replace(found, keys=(*found.keys, make_key("ingest", ("default",))[1])))

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    reader, seen = AccessFile(tmp_path), 0
    while any(thread.is_alive() for thread in threads):
        count = len(reader.read().keys)
        assert count >= seen
        seen = count
    assert len(reader.read().keys) == 60


def _whole(tmp_path: Path) -> dict[str, object]:
    file = AccessFile(tmp_path)
    put(file, keys=(make_key("viewer", ("default",))[1],), projects=("team",))
    said: dict[str, object] = json.loads(file.path.read_text(encoding="utf-8"))
    return said


DAMAGES = {
    "empty": "",
    "cut short": '{"version": 1, "keys": [',
    "no object": "[]",
    "null": "null",
    "nothing in it": "{}",
    "deep": "[" * 100_000,
    "not text": "\udcff",
}


@pytest.mark.parametrize("text", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_no_open_door(tmp_path: Path, text: str) -> None:
    """It is an error that names the file, not a file without keys; mended, it serves again."""
    whole = _whole(tmp_path)
    file = AccessFile(tmp_path)
    file.path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(AccessUnreadable, match=r"access\.json cannot be read .* nobody is let in"):
        file.read()
    with pytest.raises(AccessUnreadable), file.changing():
        pytest.fail("a damaged file was about to be overwritten")
    file.path.write_text(json.dumps(whole), encoding="utf-8")
    assert len(file.read().keys) == 1


WRONG = [
    ("version", 2), ("keys", None), ("keys", [{}]), ("keys", ["x"]), ("projects", ["../x"]), ("projects", ["default`"]),
    ("projects", 7), ("deleting", ["A"]), ("signing", ""), ("signing", 7), ("signing", "zz"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_no_open_door(tmp_path: Path, name: str, value: object) -> None:
    """Wherever it stands."""
    file = AccessFile(tmp_path)
    file.path.write_text(json.dumps({**_whole(tmp_path), name: value}), encoding="utf-8")
    with pytest.raises(AccessUnreadable):
        file.read()


@pytest.mark.parametrize(
    ("name", "value"),
    [("role", "owner"), ("projects", []), ("projects", ["A b"]), ("digest", ""), ("digest", None), ("expires", "never"),
     ("expires", -1), ("requests_per_second", None), ("surprise", 1)],
)  # fmt: skip
def test_a_wrong_key_is_no_open_door(tmp_path: Path, name: str, value: object) -> None:
    """One bad entry makes the file unreadable: what it was meant to say cannot be guessed."""
    whole = _whole(tmp_path)
    entry = {**whole["keys"][0], name: value}  # type: ignore[index]
    file = AccessFile(tmp_path)
    file.path.write_text(json.dumps({**whole, "keys": [entry]}), encoding="utf-8")
    with pytest.raises(AccessUnreadable):
        file.read()


@pytest.mark.parametrize("name", ["", "A", "a-b", "a b", "a.b", "../a", "a`", "a'", "1a", "_a", "a" * 41, "ä", "a\n"])
def test_names_that_no_project_may_have(name: str) -> None:
    """It becomes part of the name of a database and of a folder."""
    with pytest.raises(UnusableName):
        check_project_name(name)
    assert check_project_name("team_2") == "team_2"


# -- quotas


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_limit_holds_on_average() -> None:
    """After the burst that a bucket holds, exactly as much passes as flows in."""
    clock = Clock()
    quotas = Quotas(clock)
    passed = 0
    for step in range(1000):
        clock.now = step / 10
        passed += quotas.take({"k": (5.0, 1)}) is None
    assert 5 * 100 <= passed <= 5 * 100 + 50


def test_a_large_request_passes_and_is_paid_back() -> None:
    """No request is too large for its bucket, or an exporter would send it for ever."""
    clock = Clock()
    quotas = Quotas(clock)
    assert quotas.take({"k": (1000.0, 50_000)}) is None
    refused = quotas.take({"k": (1000.0, 1)})
    assert refused is not None
    name, wait = refused
    assert (name, round(wait)) == ("k", 40)
    clock.now = wait
    assert quotas.take({"k": (1000.0, 1)}) is None


def test_all_buckets_or_none() -> None:
    """What one bucket refuses costs the others nothing; rate 0 is no limit; keys do not share."""
    clock = Clock()
    quotas = Quotas(clock)
    assert quotas.take({"a": (1.0, 10), "free": (0.0, 10**12)}) is None
    for _ in range(5):
        refused = quotas.take({"a": (1.0, 1), "b": (1.0, 9)})
        assert refused is not None
        assert refused[0] == "a"
    assert quotas.take({"b": (1.0, 10)}) is None
    assert quotas.take({"b": (1.0, 1)}) is not None
