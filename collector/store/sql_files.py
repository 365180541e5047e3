"""Reads the ``.sql`` files that lie beside the code, from a wheel as from a checkout."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def read_text(package: str, name: str) -> str:
    """The text of file *name* (``/`` separates folders) inside *package*."""
    return files(package).joinpath(*name.split("/")).read_text(encoding="utf-8")


@cache
def read_sql(package: str, name: str) -> str:
    """One statement from *name* inside *package*, without its comments and closing semicolon."""
    lines = [line for line in read_text(package, name).splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).strip().rstrip(";")
