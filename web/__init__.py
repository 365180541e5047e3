"""Pages over the store: findings, runs, evidence."""

from __future__ import annotations

from driftline.web.app import create_app

__all__ = ["create_app"]
