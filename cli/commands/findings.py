"""`driftline findings`: what the analysis beside the server has found so far."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, open_for_reading

_COLUMNS = {
    "fingerprint": "id", "severity": "severity", "anomaly": "anomaly", "grade": "grade", "runs": "runs",
    "last_seen": "last seen (UTC)", "title": "what",
}  # fmt: skip
_SQL = """
SELECT fingerprint, any(severity) AS severity, any(anomaly) AS anomaly, any(grade) AS grade, uniqExact(run_id) AS runs,
       toString(max(occurred_at)) AS last_seen, any(title) AS title
FROM findings FINAL WHERE NOT retracted
GROUP BY fingerprint
ORDER BY transform(severity, ['error', 'warning', 'info'], [0, 1, 2], 3), runs DESC, fingerprint
"""


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("findings")(findings)


def findings(
    data: DataOption = DEFAULT_DATA,
    fmt: Annotated[str, typer.Option("--format", metavar="text|json", help="How to print.")] = "text",
) -> None:
    """List the findings in the store by fingerprint, worst first."""
    from driftline.cli.tables import print_rows

    store = open_for_reading(data)
    try:
        rows = store.rows(_SQL)
        if fmt == "json":
            bodies = store.rows("SELECT body FROM findings FINAL WHERE NOT retracted ORDER BY run_id, fingerprint")
            rows = [json.loads(row["body"]) for row in bodies]
    finally:
        store.close()
    for row in rows:
        if "last_seen" in row:
            row["last_seen"] = row["last_seen"][:19]
    print_rows(rows, _COLUMNS, fmt, "no findings")
