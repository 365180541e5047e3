"""Normalised runs in, findings out.

`prepare` a store once, let spans in, `analyse` a part of it, `persist` what was found.
"""

from __future__ import annotations

from driftline.analyzers.catalogue import Catalogue, InvalidCatalogue, load_catalogue
from driftline.analyzers.config import Config, InvalidConfig, load_config, parse_skew
from driftline.analyzers.detector import Detector, detectors, known_anomalies
from driftline.analyzers.dialects import install_views
from driftline.analyzers.engine import Checked, Report, analyse
from driftline.analyzers.persist import persist
from driftline.analyzers.scope import Scope

__all__ = [
    "Catalogue",
    "Checked",
    "Config",
    "Detector",
    "InvalidCatalogue",
    "InvalidConfig",
    "Report",
    "Scope",
    "analyse",
    "detectors",
    "install_views",
    "known_anomalies",
    "load_catalogue",
    "load_config",
    "parse_skew",
    "persist",
]
