"""What a call did to the world, by a ladder of evidence: each step down is weaker, and says so.

Effect: the span's own word > the tool catalogue > HTTP and database calls inside > the tool's name.
Outcome: the span's own word > the catalogue's refusal pattern > the span's status.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from driftline.analyzers.catalogue import Catalogue
    from driftline.analyzers.record import Record

WRITES = ("write", "destructive")

_HTTP_WRITES = ("POST", "PATCH", "PUT", "DELETE")
_DB_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "UPSERT")
_READ_NAME = (
    r"^(get|list|search|read|find|fetch|look_?up|query|show|describe|check|count|view|browse|retrieve|calculate|think)"
    r"(_|[A-Z]|$|\b)"
)
_WRITE_NAME = (
    r"^(send|create|book|charge|pay|delete|remove|cancel|update|post|publish|transfer|refund|submit|write|insert|add|"
    r"issue|order|place|buy|purchase|notify|email|schedule|approve|deploy|modify|exchange|return|reserve|save|upload|"
    r"append|put|set|merge|close|open|start|stop|execute|invite|assign|grant|revoke)(_|[A-Z]|$|\b)"
)
# Errors after which nobody can tell whether the receiver acted.
_AMBIGUOUS = (
    r"(?i)timeout|timed.?out|deadline|cancel|connection|disconnect|reset|unavailable|broken.?pipe|eof|50[0234]|network"
)


def with_effects(calls: pl.DataFrame, record: Record, catalogue: Catalogue) -> pl.DataFrame:
    """*calls* (see `calls.executions`) with effect, its source, targets, created entities, outcome and its source."""
    calls = _from_catalogue(calls, record, catalogue)
    calls = _from_children(calls, record)
    named_write = pl.col("tool").str.contains(_WRITE_NAME)
    named_read = pl.col("tool").str.contains(_READ_NAME)
    said = pl.col("effect") != ""
    calls = calls.with_columns(
        effect=pl.when(said)
        .then("effect")
        .when(pl.col("declared_effect") != "")
        .then("declared_effect")
        .when(pl.col("child_effect") != "")
        .then("child_effect")
        .when(named_read)
        .then(pl.lit("read"))
        .when(named_write)
        .then(pl.lit("write"))
        .otherwise(pl.lit("unknown")),
        effect_source=pl.when(said)
        .then(pl.lit("explicit"))
        .when(pl.col("declared_effect") != "")
        .then(pl.lit("catalogue"))
        .when(pl.col("child_effect") != "")
        .then(pl.lit("child"))
        .when(named_read | named_write)
        .then(pl.lit("name"))
        .otherwise(pl.lit("")),
        idempotent=pl.coalesce("idempotent", "declared_idempotent", "child_idempotent"),
        targets=pl.when(pl.col("targets").list.len() > 0).then("targets").otherwise("declared_targets"),
    )
    return _outcomes(calls).drop(
        "declared_effect", "declared_idempotent", "declared_targets", "declared_refusal", "child_effect",
        "child_idempotent", "said_outcome", "error_type", "status_message",
    )  # fmt: skip


def _outcomes(calls: pl.DataFrame) -> pl.DataFrame:
    said = pl.col("said_outcome").is_in(["applied", "refused", "unknown"])
    error = pl.col("status") == "error"
    ambiguous = (pl.col("error_type") + " " + pl.col("status_message")).str.contains(_AMBIGUOUS)
    return calls.with_columns(
        outcome=pl.when(said)
        .then("said_outcome")
        .when("declared_refusal")
        .then(pl.lit("refused"))
        .when(pl.col("status") == "open")
        .then(pl.lit("unknown"))
        .when(error & ambiguous)
        .then(pl.lit("unknown"))
        .when(error)
        .then(pl.lit("failed"))
        .otherwise(pl.lit("applied")),
        outcome_source=pl.when(said)
        .then(pl.lit("explicit"))
        .when("declared_refusal")
        .then(pl.lit("catalogue"))
        .otherwise(pl.lit("status")),
    ).with_columns(refused=pl.col("outcome") == "refused", failed=error & (pl.col("outcome") != "refused"))


def _from_catalogue(calls: pl.DataFrame, record: Record, catalogue: Catalogue) -> pl.DataFrame:
    names = list(catalogue.tools)
    effects = {name: tool.effect for name, tool in catalogue.tools.items()}
    idempotent = {name: tool.idempotent for name, tool in catalogue.tools.items()}
    calls = calls.with_columns(
        declared_effect=pl.col("tool").replace_strict(effects, default="", return_dtype=pl.String),
        declared_idempotent=pl.col("tool").replace_strict(idempotent, default=None, return_dtype=pl.Boolean),
    )
    wanted = calls.filter(pl.col("tool").is_in(names) & pl.col("declared_effect").is_in(WRITES))
    facts: dict[str, list[Any]] = {"row": [], "declared_targets": [], "created": [], "declared_refusal": []}
    if wanted.height:
        texts = _payloads(wanted, record)
        for row, tool_name in wanted.select("row", "tool").iter_rows():
            tool, (arguments, result) = catalogue.tools[tool_name], texts.get(row, ("", ""))
            given, returned = parse_json(arguments), parse_json(result)
            facts["row"].append(row)
            facts["declared_targets"].append(sorted({e for path in tool.targets for e in path.entities(given)}))
            facts["created"].append(sorted({e for path in tool.creates for e in path.entities(returned)}))
            facts["declared_refusal"].append(tool.refuses(result))
    schema: dict[str, Any] = {
        "row": pl.Int64,
        "declared_targets": pl.List(pl.String),
        "created": pl.List(pl.String),
        "declared_refusal": pl.Boolean,
    }
    empty = pl.lit([], dtype=pl.List(pl.String))
    return calls.join(pl.DataFrame(facts, schema=schema), on="row", how="left", maintain_order="left").with_columns(
        pl.col("declared_targets").fill_null(empty),
        pl.col("created").fill_null(empty),
        pl.col("declared_refusal").fill_null(value=False),
    )


def _payloads(calls: pl.DataFrame, record: Record) -> dict[int, tuple[str, str]]:
    """Arguments and results by representative row; whichever layer of the call has them."""
    layers = calls.select("row", layer="rows").explode("layer")
    found = record.payloads(layers["layer"].to_list()).rename({"row": "layer"})
    merged = (
        layers.join(found, on="layer", how="left", maintain_order="left")
        .group_by("row", maintain_order=True)
        .agg(
            *(pl.col(name).filter(pl.col(name) != "").first().fill_null("") for name in ("arguments", "result")),
        )
    )
    return {row: (arguments, result) for row, arguments, result in merged.iter_rows()}


def _from_children(calls: pl.DataFrame, record: Record) -> pl.DataFrame:
    """HTTP and database calls made inside a tool call say what kind of call it is."""
    spans = record.spans
    writing = spans.filter(pl.col("http_method").is_in(_HTTP_WRITES) | pl.col("db_operation").is_in(_DB_WRITES))
    found = pl.DataFrame(schema={"row": pl.Int64, "child_effect": pl.String, "child_idempotent": pl.Boolean})
    if writing.height and calls.height:
        layers = calls.select("row", layer="rows").explode("layer")
        is_call = np.zeros(spans.height, dtype=bool)
        is_call[layers["layer"].to_numpy()] = True
        holder = record.tree.nearest(is_call, strict=True)[writing["row"].to_numpy()]
        found = (
            writing.select("http_method", "db_operation", layer=pl.Series(holder))
            .join(layers, on="layer")
            .group_by("row")
            .agg(
                child_effect=pl.when(
                    (pl.col("http_method") == "DELETE").any() | (pl.col("db_operation") == "DELETE").any()
                )
                .then(pl.lit("destructive"))
                .otherwise(pl.lit("write")),
                child_idempotent=pl.col("http_method").is_in(["PUT", "DELETE"]).all(),
            )
        )
    return calls.join(found, on="row", how="left", maintain_order="left").with_columns(
        pl.col("child_effect").fill_null("")
    )


def parse_json(text: str) -> Any:
    """*text* as JSON; the text itself where it is none."""
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
