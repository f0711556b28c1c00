"""``bench status``."""

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from bench import results
from bench.cli._options import debug_option, json_option, results_option
from bench.cli._print import print_json

if TYPE_CHECKING:
    from bench.results import Activity

LATE = 10.0
"""Seconds after which the age of what a process said is told."""


@click.command()
@results_option
@json_option
@debug_option
def status(**options: str | bool) -> int:
    """What runs, sweeps and searches of other terminals are doing in a results folder.

    Each says once a second how far it is, what is best so far, and which cells are in training.
    """
    folder = str(options["results"])
    results.Store(folder)  # which must exist
    found = results.status(folder)
    if options["as_json"]:
        print_json(processes=[vars(activity) for activity in found])
        return 0
    for activity in found:
        click.echo("\n".join(_described(activity)))
    if not found:
        click.echo(f"Nothing runs in {folder!r}.")
    return 0


def _described(activity: "Activity") -> list[str]:
    """A line about the process, and below it what it says."""
    began = datetime.fromtimestamp(activity.since).strftime("%Y-%m-%d %H:%M")
    took, silent = results.duration(time.time() - activity.since), time.time() - activity.at
    head = f"{activity.what}: process {activity.process} on {activity.host}, since {began} ({took})"
    late = f", {results.duration(silent)} ago" if silent > LATE else ""
    return [f"{head}{late}", *(f"  {line}" for line in activity.lines)]
