"""Receives OTLP, never loses it, hands it to ClickHouse."""

from __future__ import annotations

from driftline.collector.app import create_receiver
from driftline.collector.collector import Collector
from driftline.collector.tally import Stats

__all__ = ["Collector", "Stats", "create_receiver"]
