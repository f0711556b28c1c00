"""``bench export``: records as files of other tools."""

from typing import Any

import click

from bench import results
from bench.cli._options import debug_option, json_option, quiet_option, sources_option, word_option
from bench.cli._print import named_broken, print_json, progress_lines
from bench.cli._question import broken_option, filter_options
from bench.errors import shell_words
from bench.results import many, size

ROWS = ("cells", "evaluations")
OPENED = {
    "mlflow": ("mlflow server --backend-store-uri", "sqlite:///{}/mlflow.db"),
    "tensorboard": ("tensorboard --logdir", "{}"),
}
"""How to look at runs, by their format: a command, and its last word with the folder in it."""


@click.command()
@sources_option
@click.option(
    "-o",
    "--output",
    metavar="FILE.parquet|csv",
    type=click.Path(),
    help="Write a table.",
)
@word_option("--rows", ROWS, "A row of the table for each cell, or for each evaluation of each cell.", default="cells")
@click.option("--mlflow", metavar="DIR", type=click.Path(), help="Write a run for each cell into a database of MLflow.")
@click.option(
    "--tensorboard", metavar="DIR", type=click.Path(), help="Write a run for each cell as event files of TensorBoard."
)
@filter_options
@broken_option
@click.option("--force", is_flag=True, help="Replace the file where there is one.")
@json_option
@quiet_option
@debug_option
def export(as_json: bool, quiet: bool, **request: Any) -> int:
    """Write what results folders and packs hold for other tools: Parquet, CSV, MLflow or TensorBoard.

    One of -o, --mlflow and --tensorboard says where. Of several records of a cell the one of more steps is taken.
    Tables need pyarrow, runs the package of their tool; their folder must be new or empty. Texts that a spreadsheet
    would take for a formula have an apostrophe in front in CSV.
    """
    done = results.export(**request, progress=progress_lines("records", quiet))
    for line in named_broken(done.broken):
        click.echo(line, err=True)
    if as_json:
        print_json(**done.to_dict())
        return 0
    rows = "" if done.rows is None else f", {many(done.rows, 'row')} of {many(len(done.columns), 'column')}"
    click.echo(f"Exported {many(done.records, 'record')} to {done.output!r}: {size(done.bytes)}{rows}.")
    if done.broken:
        click.echo(f"{len(done.broken):,} broken and left out.")
    if done.format in OPENED:
        opens, place = OPENED[done.format]
        click.echo(f"Opened by: {opens} {shell_words(place.format(done.output))}")
    return 0
