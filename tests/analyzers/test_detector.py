"""Detectors are found by walking their folder; each keeps to the form that the others rely on."""

from __future__ import annotations

from importlib.resources import files

import pytest

from driftline.analyzers.detector import Detector, detectors, known_anomalies, planned


def test_detectors_are_the_folders_with_candidates_sorted_by_name() -> None:
    names = [detector.name for detector in detectors()]
    assert names == sorted(names)
    assert {"duplicate_effect", "partial_completion", "stale_context"} <= set(names)


@pytest.mark.parametrize("detector", detectors(), ids=lambda detector: detector.name)
def test_a_detector_names_its_anomalies_and_brings_its_files(detector: Detector) -> None:
    assert len(detector.prefix) == 2
    assert detector.prefix.isupper()
    assert detector.anomalies
    assert all(meaning and not meaning.endswith(".") for meaning in detector.anomalies.values())
    folder = files(detector.package)
    assert folder.joinpath("cases.md").is_file()
    assert "trace_id" in folder.joinpath("candidates.sql").read_text(encoding="utf-8")


def test_prefixes_tell_detectors_apart() -> None:
    prefixes = [detector.prefix for detector in detectors()]
    assert len(set(prefixes)) == len(prefixes)


def test_what_is_built_is_not_planned_any_more() -> None:
    named = {entry.detector for entry in planned(synthetic_clocks=False)}
    assert named.isdisjoint(known_anomalies())


def test_only_what_judges_time_is_kept_from_it_by_made_up_clocks() -> None:
    reasons = {entry.detector: entry.reason for entry in planned(synthetic_clocks=True)}
    assert [name for name, reason in reasons.items() if "synthetic" in reason] == ["timing_drift"]
