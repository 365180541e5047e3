"""One function decides how a command ends, and no failure of ours ends like a pass."""

from __future__ import annotations

from dataclasses import replace

from shown import finding, report

from driftline.cli import exit_codes
from driftline.cli.exit_codes import exit_code, worst


def test_the_code_goes_with_the_verdict() -> None:
    """Clean, findings, nothing to check."""
    assert exit_codes.CLEAN == exit_code(report(verdict="pass"))
    assert exit_codes.FINDINGS == exit_code(report(finding()))
    assert exit_codes.NOTHING_TO_CHECK == exit_code(report(verdict="unknown"))


def test_a_detector_that_failed_is_an_internal_error_whatever_the_others_say() -> None:
    """Their findings are printed all the same."""
    for verdict in ("pass", "fail", "unknown"):
        assert exit_codes.INTERNAL == exit_code(replace(report(verdict=verdict), failed=("stale_context",)))


def test_of_several_files_the_worst_counts() -> None:
    """What we could not do before what was found; what could not be judged before a pass."""
    assert exit_codes.INTERNAL == worst([exit_codes.FINDINGS, exit_codes.INTERNAL, exit_codes.USAGE])
    assert exit_codes.USAGE == worst([exit_codes.FINDINGS, exit_codes.USAGE, exit_codes.CLEAN])
    assert exit_codes.FINDINGS == worst([exit_codes.NOTHING_TO_CHECK, exit_codes.FINDINGS, exit_codes.CLEAN])
    assert exit_codes.NOTHING_TO_CHECK == worst([exit_codes.CLEAN, exit_codes.NOTHING_TO_CHECK])
