"""What a run, agent or step promised (`driftline.expects`), and what of the record may keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.detectors.partial_completion.claims import Claims, lineage
from driftline.analyzers.detectors.partial_completion.reach import came_from, climb

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

_PROMISE = r"^\s*(?P<unit>tool|step|agent|validate|send):\s*(?P<label>\S.*?)\s*(?:\*\s*(?P<count>[1-9]\d{0,5}))?\s*$"


def promises_of(record: Record, claims: Claims) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The promises of a record, and those nobody can read (columns `run`, `text`).

    Columns: `row` of the span that promised, `text`, `unit`, `label`, `needed`, `run`, `kind`, `pending`, `over`,
    `admitted`, `claimant`.
    """
    spans = record.spans
    said = (
        spans.filter(pl.col("expects").list.len() > 0)
        .select("row", "run", "kind", "pending", "outcome", text="expects")
        .explode("text")
        .unique(["row", "text"], maintain_order=True)
        .filter(pl.col("text").str.strip_chars() != "")
        .with_columns(parts=pl.col("text").str.extract_groups(_PROMISE))
        .unnest("parts")
    )
    # A `*` that is not followed by a count is a slip of the pen, not a name.
    unread = pl.col("unit").is_null() | pl.col("label").str.contains("*", literal=True)
    rows = said["row"].to_numpy()
    by_row = {"over": claims.over, "admitted": claims.admitted, "claimant": claims.claimant, "home": claims.home}
    promised = said.with_columns(
        needed=pl.col("count").fill_null("1").cast(pl.Int64),
        **{name: pl.Series(values[rows]) for name, values in by_row.items()},
    ).drop("count")
    claims_itself = pl.col("outcome") == "complete"
    return (
        promised.filter(~unread).with_columns(
            claimant=pl.when(claims_itself).then("row").otherwise(pl.col("claimant").cast(pl.Int64))
        ),
        said.filter(unread).select("run", "text").unique().sort("run", "text"),
    )


def kept_by(record: Record, promised: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """The units each promise is about: columns `promise` (its number), `place` (the row of the unit in *units*).

    A run is answered by whatever ran in it, over all its traces and the runs it started; an agent or step by what ran
    inside of it or was handed on from there.
    """
    numbered = promised.with_row_index("promise")
    named = (
        units.with_row_index("place")
        .filter(pl.col("unit").is_in(["tool", "step", "agent", "validate", "send"]))
        .select("place", "unit", "names", unit_row="row", unit_run="run")
        .explode("names")
        .rename({"names": "label"})
        .join(promised.select("unit", "label").unique(), on=["unit", "label"], how="semi")
    )
    by_run = (
        numbered.filter(pl.col("kind") == "run")
        .select("promise", "unit", "label", "run")
        .join(_runs_started(record), on="run")
        .join(named, left_on=["started", "unit", "label"], right_on=["unit_run", "unit", "label"])
        .select("promise", "place")
    )
    above = climb(named["unit_row"].unique(), came_from(record.spans)) if named.height else None
    if above is None:
        return by_run
    by_span = (
        above.rename({"row": "unit_row"})
        .join(numbered.select("promise", "unit", "label", above="row"), on="above")
        .join(named, on=["unit_row", "unit", "label"])
        .select("promise", "place")
    )
    return pl.concat([by_run, by_span]).unique()


def _runs_started(record: Record) -> pl.DataFrame:
    """Columns `run`, `started`: each run with itself and every run that it started."""
    spans = record.spans
    runs = spans.select("run").unique()
    own = runs.with_columns(started=pl.col("run"))
    parents = dict(
        spans.filter((pl.col("run_parent_id") != "") & (pl.col("kind") == "run"))
        .select("run", "run_parent_id")
        .iter_rows()
    )
    pairs = [(above, run) for run in parents for above in lineage(run, parents)[1:]]
    below = pl.DataFrame(pairs, schema={"run": pl.String, "started": pl.String}, orient="row")
    return pl.concat([own, below]).unique()
