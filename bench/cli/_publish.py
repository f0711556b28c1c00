"""``bench publish``: what results folders hold as a site."""

from functools import partial
from typing import Any

import click

from bench import showing
from bench.cli._options import (
    debug_option,
    json_option,
    quiet_option,
    sources_option,
    storage_option,
    title_option,
    word_option,
)
from bench.cli._print import notes_on, print_json, progress_lines
from bench.cli._question import league_options, span_of
from bench.errors import shell_words
from bench.results import many, size

CURVES = ("all", "accuracy")


@click.command()
@click.argument("output", metavar="DIR", type=click.Path())
@partial(league_options, source=sources_option)
@storage_option
@title_option
@word_option(
    "--curves",
    CURVES,
    "How much of each curve is in the pack.  [default: as much as all sources have]",
)
@json_option
@quiet_option
@debug_option
def publish(output: str, parameters: str | None, as_json: bool, quiet: bool, **request: Any) -> int:
    """Write what results folders and packs hold as a static site, which any web host serves.

    DIR gets a front page with the league, a report of all records and one of each task, the league as CSV and JSON, and
    the records as a pack. It must be new, empty or an earlier site, whose files are replaced; other files in it stay.
    Links are relative, and nothing is loaded from elsewhere. Needs plotly and pyarrow.
    """
    progress = progress_lines("records", quiet)
    site = showing.publish(output, parameters=span_of(parameters), **request, progress=progress)
    for line in notes_on(site):
        click.echo(line, err=True)
    if as_json:
        print_json(**site.to_dict())
        return 0
    files = f"{many(len(site.files), 'file')}, {size(site.bytes)}"
    click.echo(f"Published {many(site.records, 'record')} to {site.output!r}: {files}.")
    if site.broken:
        click.echo(f"{len(site.broken):,} broken and left out.")
    click.echo(f"Opened by: python -m http.server --directory {shell_words(site.output)}")
    return 0
