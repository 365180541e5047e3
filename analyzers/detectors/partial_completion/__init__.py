"""The workflow says done, but is not.

What: a promised step that never ran, a failure nobody mentioned, a sub-agent of three that did not come back, a message
nobody took, a step that never ended, an answer cut off half-way, while the run ended well.

Why: nothing crashes and nobody is paged; the customer finds out. "Done" is a claim, and a claim can be checked.

Evidence and grades: promises are declared (`driftline.expects`), claims are the program's own (`driftline.outcome`, or
an end without an error). That something is missing is `definite` only in a record that is shown to be whole
(`completeness`): no gap in the logical clocks, no parent, receipt, attribute or end that did not come. In any other it
is `possible`, with each doubt, and where spans are known to be lost and nothing was even tried it is unknown.

Limits: of one run, only what was declared is missed; what comparable runs usually do is not learned yet. Agents see
errors and go on sensibly: a failed read is information at most, and what a model was shown is its to decide. A
process that was reached by no message, or by one that others took as well, and all of whose spans were lost leaves no
gap. Runs that are not over are not judged, and runs that say `partial`, `failed` or `cancelled` break no promise. More
in docs/detectors/partial_completion.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline.analyzers.detector import Detector
from driftline.analyzers.detectors.partial_completion import (
    empty_results,
    failures,
    fan_out,
    messages,
    obligations,
    open_spans,
)
from driftline.analyzers.detectors.partial_completion.claims import Claims
from driftline.analyzers.detectors.partial_completion.evidence import finding_of
from driftline.analyzers.detectors.partial_completion.shortfall import Judged
from driftline.analyzers.detectors.partial_completion.units import seen_by_a_model, units_of
from driftline.analyzers.detectors.partial_completion.wholeness import Wholeness
from driftline.analyzers.finding import NotChecked, Verdict

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.record import Record

_NAME = "partial_completion"
_NOT_LEARNED = (
    "steps that comparable runs take are not learned yet: only declared promises (driftline.expects) are missed"
)


def analyse(record: Record, config: Config) -> Verdict:
    """Judge the runs of a record that are over."""
    if record.spans.is_empty():
        return Verdict()
    parts = _judge(record, config)
    return Verdict(
        findings=tuple(finding_of(shortfall, record, _NAME) for part in parts for shortfall in part.found),
        not_checked=(
            NotChecked(_NAME, _NOT_LEARNED),
            *(NotChecked(_NAME, reason, run) for part in parts for run, reason in part.unknown),
        ),
        judged=sum(part.judged for part in parts),
    )


def _judge(record: Record, config: Config) -> list[Judged]:
    """Each part after the more specific ones: what those explain is not reported again."""
    claims, units = Claims(record), units_of(record, config)
    wholeness = Wholeness(record)
    seen = seen_by_a_model(record, units)
    promised = obligations.judge(record, claims, units, wholeness)
    spread = fan_out.judge(record, claims, units, seen, wholeness, promised.explains)
    ended = open_spans.judge(record, claims, units, promised.explains | spread.explains)
    taken = messages.judge(record, claims, promised.explains | spread.explains)
    so_far = promised.explains | spread.explains | ended.explains
    vanished = failures.judge(record, claims, units, seen, wholeness, so_far)
    empty = empty_results.judge(record, claims, units, seen, so_far | vanished.explains)
    return [promised, spread, ended, taken, vanished, empty]


DETECTOR = Detector(
    name=_NAME,
    prefix="PC",
    anomalies={
        "false_success": "the run, agent or step claims complete although something it promised is missing or failed",
        "missing_step": "something promised was not done although what promised it ended without failure",
        "incomplete_fan_out": "of several equal pieces of work going on at once some did not end well, and it went on",
        "swallowed_failure": "a step failed, nothing made up for it, and the run ended as if nothing were",
        "unfinished_step": "a step began and never ended although the run is over",
        "unconsumed_message": "a message was not taken within the time its destination usually needs",
        "empty_result": "an agent, tool or model returned nothing or a fragment, which was taken as success",
    },
    analyse=analyse,
)
