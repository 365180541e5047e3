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
    said = statement + store.redaction().key_id if KEY in statement else statement  # another key, another view
    text_hash = hashlib.sha256(said.encode()).hexdigest()[:32]
    installed = store.value(
        "SELECT argMax(text_hash, installed_at) FROM installed_views WHERE name = {name:String}", {"name": name}
    )
    if installed == text_hash and store.value(f"EXISTS TABLE {name}"):
        return False
    statement = store.redaction().rendered(statement, store)
    store.command(f"DROP TABLE IF EXISTS {name}")
    store.command(statement)
    store.insert_rows("installed_views", ["name", "text_hash"], [[name, text_hash]])
    return True
