"""From which span a span came: its parent, the message it took, the span it is linked to."""

from __future__ import annotations

import polars as pl


def receipts(spans: pl.DataFrame) -> pl.DataFrame:
    """Which message each receipt took: columns `send`, `taken` (rows). One message may be taken several times."""
    sent = spans.filter(pl.col("kind") == "send")
    taken = spans.filter(pl.col("kind") == "process")
    linked = (
        taken.filter(pl.col("link_traces").list.len() > 0)
        .select("link_traces", "link_spans", taken="row")
        .explode("link_traces", "link_spans")
        .join(sent.select(link_traces="trace_id", link_spans="span_id", send="row"), on=["link_traces", "link_spans"])
    )
    message = ["run", "destination", "message_id"]
    by_id = (
        taken.filter(pl.col("message_id") != "")
        .select(*message, taken="row")
        .join(sent.select(*message, send="row"), on=message)
    )
    inside = taken.select(taken="row", send="parent").join(sent.select(send="row"), on="send", how="semi")
    return pl.concat([part.select("send", "taken") for part in (linked, by_id, inside)]).unique().sort("send", "taken")


def came_from(spans: pl.DataFrame) -> pl.DataFrame:
    """Columns `row`, `up`: a span and what it came from."""
    parents = spans.filter(pl.col("parent") >= 0).select("row", up="parent")
    linked = (
        spans.filter(pl.col("link_traces").list.len() > 0)
        .select("row", "link_traces", "link_spans")
        .explode("link_traces", "link_spans")
        .join(spans.select(link_traces="trace_id", link_spans="span_id", up="row"), on=["link_traces", "link_spans"])
    )
    messages = receipts(spans).select(row="taken", up="send")
    return pl.concat([part.select("row", "up") for part in (parents, linked, messages)]).unique()


def climb(rows: pl.Series, edges: pl.DataFrame) -> pl.DataFrame:
    """Everything each of *rows* came from: columns `row`, `above`. One pass a level; a cycle ends by itself."""
    frontier = pl.DataFrame({"row": rows, "above": rows}, schema={"row": pl.Int64, "above": pl.Int64}).unique()
    seen = frontier
    ups = edges.select(above="row", up="up")
    while frontier.height:
        further = frontier.join(ups, on="above").select("row", above="up").unique()
        frontier = further.join(seen, on=["row", "above"], how="anti")
        seen = pl.concat([seen, frontier])
    return seen.filter(pl.col("row") != pl.col("above"))
