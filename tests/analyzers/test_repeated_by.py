"""Who is said to have made a repeat: evidence, so it must hold."""

from __future__ import annotations

import histories
import pytest

_TWO_RECEIPTS = """
P1 run(order)
  P1 send(q) #m1
P2 process(q) #m1
  P2 tool(charge) args=o1 effect=write eo=applied target=order/1
P3 process(q) #m1
  P3 tool(charge) args=o1 effect=write eo=applied target=order/1
"""
_ONE_RECEIPT = """
P1 run(order)
  P1 send(q) #m1
P2 process(q) #m1
  P2 tool(charge) args=o1 effect=write eo=applied target=order/1
  P2 tool(charge) args=o1 effect=write eo=applied target=order/1
"""


@pytest.mark.parametrize(
    ("history", "who"), [(_TWO_RECEIPTS, "a message delivered twice"), (_ONE_RECEIPT, "the program")]
)
def test_a_message_was_delivered_twice_only_if_it_was_received_twice(history: str, who: str) -> None:
    """Two calls made while one message is worked on are the program's own."""
    (finding,) = [f for f in histories.report(history).findings if f.anomaly == "repeated_effect"]
    assert finding.evidence["repeated_by"] == who
