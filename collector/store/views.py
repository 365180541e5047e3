"""Views whose text is generated: installed under a name, replaced when their text changes.

A view only says how rows come to be, it holds none; so dropping and creating it anew loses nothing as long as no
insert runs meanwhile. Views are installed when a store is opened, before anything is let in.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from driftline.collector.redaction_sql import KEY

if TYPE_CHECKING:
    from driftline.collector.store.connection import Store


def install_view(store: Store, name: str, statement: str) -> bool:
    """Create the view (or inbox table) *name* by *statement*, replacing one of another text; true if it changed."""
    if is_installed(store, name, statement):
        return False
    rendered = store.redaction().rendered(statement, store)
    store.command(f"DROP TABLE IF EXISTS {name}")
    store.command(rendered)
    store.insert_rows("installed_views", ["name", "text_hash"], [[name, _text_hash(store, statement)]])
    return True


def is_installed(store: Store, name: str, statement: str) -> bool:
    """Whether the view *name* is there, made by *statement*."""
    installed = store.value(
        "SELECT argMax(text_hash, installed_at) FROM installed_views WHERE name = {name:String}", {"name": name}
    )
    return bool(installed == _text_hash(store, statement) and store.value(f"EXISTS TABLE {name}"))


def _text_hash(store: Store, statement: str) -> str:
    said = statement + store.redaction().key_id if KEY in statement else statement  # another key, another view
    return hashlib.sha256(said.encode()).hexdigest()[:32]
