"""What the pages ask the store: one `.sql` file a question, each remembered so that a page can show what it asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from driftline.collector.store import read_sql

if TYPE_CHECKING:
    import polars as pl

    from driftline.collector.store import Store


@dataclass(frozen=True)
class Asked:
    """A question as it was asked: the statement and its parameters."""

    name: str
    sql: str
    params: dict[str, Any]


@dataclass
class Reader:
    """Reads *store* for one request and remembers what was asked, for "the SQL behind this"."""

    store: Store
    asked: list[Asked] = field(default_factory=list)

    def rows(self, name: str, parts: dict[str, str] | None = None, **params: Any) -> list[dict[str, Any]]:
        """The rows that `NAME.sql` gives. *parts* fill `$name` places of the statement, *params* `{name:Type}` ones."""
        return self.store.rows(self._statement(name, parts, params), params)

    def frame(self, name: str, parts: dict[str, str] | None = None, **params: Any) -> pl.DataFrame:
        """As `rows`, as a Polars frame."""
        return self.store.frame(self._statement(name, parts, params), params)

    def _statement(self, name: str, parts: dict[str, str] | None, params: dict[str, Any]) -> str:
        statement = read_sql(__name__, f"{name}.sql")
        for place, text in (parts or {}).items():
            statement = statement.replace(f"${place}", text)
        self.asked.append(Asked(name, statement, params))
        return statement
