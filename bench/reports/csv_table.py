"""A league table as comma-separated values, for spreadsheets and data frames."""

import csv
import json
from collections.abc import Sequence
from io import StringIO
from typing import Any

from bench.ranking import Ranking
from bench.reports.league_table import Table

NESTED = ("config", "task_parameters", "fractions", "tuning")


def league_csv(ranking: Ranking, tables: Sequence[Table]) -> str:
    """A line for each row, nested values as JSON."""
    rows = [{"by": ranking.question.by, **_flat(row.to_dict())} for table in tables for row in table.rows]
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    probes, steps = row.pop("probes"), row.pop("steps") or [None, None]
    row |= {**probes, "fewest_steps": steps[0], "most_steps": steps[1]}
    row |= {name: "; ".join(row[name]) for name in ("incomplete", "remarks")}
    return row | {name: json.dumps(row[name], ensure_ascii=False) for name in NESTED}
