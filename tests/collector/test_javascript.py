"""The JavaScript SDK's exporters, from npm, against the real receivers and the real engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stored_spans
from serving_apps import listening

from driftline.collector import Collector, create_receiver
from driftline.collector.grpc_receiver import receiving
from driftline.collector.store import Store

PROGRAM = Path(__file__).parents[1] / "support" / "javascript"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sending program with its packages; where they cannot be had CI fails, and others skip."""
    folder = shutil.copytree(PROGRAM, tmp_path_factory.mktemp("npm") / "sender")
    npm = shutil.which("npm")
    words = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline")
    why = "npm is not installed"
    if npm and shutil.which("node"):
        done = subprocess.run([npm, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode == 0:
            return folder
        why = f"npm cannot install the exporters: {done.stderr[-500:]}"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture
def collector(store: Store, tmp_path: Path) -> Iterator[Collector]:
    found = Collector(store, tmp_path)
    found.start()
    yield found
    found.stop(10)


def send(program: Path, *arguments: str) -> Any:
    """What the program held, and what its exporters complained of."""
    done = subprocess.run(
        ["node", "send.mjs", *arguments], cwd=program, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["json", "protobuf", "grpc"])
def test_what_javascript_sends_is_in_the_store(
    program: Path, store: Store, collector: Collector, protocol: str, compression: str
) -> None:
    """Field by field, with attributes of every type, evicted ones, dropped events and links."""
    with listening(create_receiver(collector)) as http, receiving(collector, "127.0.0.1:0") as port:
        said = send(program, protocol, f"http://127.0.0.1:{port}" if protocol == "grpc" else http, compression)
        assert collector.flush(60)
    expected = {span["name"]: stored_spans.of_javascript(span) for span in said["spans"]}
    found = stored_spans.stored(store)
    assert set(found) == set(expected) == {"outer", "inner"}
    for name, row in expected.items():
        assert {column: found[name][column] for column in row} == row
    assert min(expected["inner"][column] for column in ("DroppedAttributes", "DroppedEvents", "DroppedLinks")) > 0
    # The metric of the JSON run is turned down in an answer that the SDK does not take for a failure.
    assert [words for words in said["complaints"] if words.startswith("error")] == []
    assert collector.stats()["refused"] == {}
    assert (collector.stats()["rejected"] > 0) is (protocol == "json")
