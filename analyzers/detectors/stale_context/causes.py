"""One cause, one finding."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from driftline.analyzers.detectors.stale_context.stale import ANOMALIES, Stale
from driftline.analyzers.finding import GRADES
from driftline.analyzers.order import EFFECT, START, HappensBefore

if TYPE_CHECKING:
    from driftline.analyzers.record import Record


def one_a_cause(record: Record, order: HappensBefore, found: list[Stale]) -> list[tuple[Stale, list[Stale]]]:
    """The findings to report, each with its further occurrences.

    Of what one agent (without one: one unit of work) did with one key in one run the surest and most specific finding
    stands for all. An effect stands for the reads behind it, unless they are surer than it is.
    """
    agents, runs = record.spans["agent_instance"].to_list(), record.spans["run"].to_list()
    units = record.spans["uow"].to_list()
    effects = [stale for stale in found if stale.anomaly == "stale_effect"]
    acted: dict[tuple[str, ...], list[Stale]] = defaultdict(list)
    for stale in effects:
        acted[(runs[stale.touch.row], *stale.touch.key)].append(stale)

    def behind(read: Stale, effect: Stale) -> bool:
        if GRADES.index(effect.grade) > GRADES.index(read.grade):
            return False
        row, other = read.touch.row, effect.touch.row
        if agents[row] and agents[other]:
            return bool(agents[row] == agents[other])
        if read.touch.version != effect.touch.version:
            return False
        since = int(order.moment[3 * row + EFFECT])
        return bool(units[row] == units[other]) or order.before(other, START, since).holds(row, EFFECT)

    groups: dict[tuple[str, ...], list[Stale]] = defaultdict(list)
    for stale in found:
        row, is_effect = stale.touch.row, stale.anomaly == "stale_effect"
        if is_effect or not any(behind(stale, effect) for effect in acted.get((runs[row], *stale.touch.key), ())):
            groups[(runs[row], agents[row] or units[row], *stale.touch.key, str(is_effect))].append(stale)
    kept = []
    for members in groups.values():
        members.sort(key=lambda stale: (GRADES.index(stale.grade), ANOMALIES.index(stale.anomaly), stale.touch.row))
        kept.append((members[0], members[1:]))
    return kept
