"""Normalisation as data: what every instrumentation calls a thing, compiled into ClickHouse views.

One TOML file a source. A `[[key]]` says: canonical *field* may be read from attribute *key*; *order* is its place among
all keys of that field over all sources (lower first). Optional: `only` (a dialect: the key counts only on its spans),
`when` (another attribute must have that value), `values` (translate; anything else is not taken), `present` (the value
to take when the attribute is there), `member` (member of the JSON object in the attribute), `reject = "json_schema"`.
"""

from __future__ import annotations

from driftline.analyzers.dialects.compile import install_views
from driftline.analyzers.dialects.table import Dialect, Key, load_dialects

__all__ = ["Dialect", "Key", "install_views", "load_dialects"]
