"""``bench report``: all that a results folder holds, as one page."""

import os
from typing import Any

import click

from bench import showing
from bench.cli._options import debug_option, storage_option, title_option, word_option
from bench.cli._question import league_options, span_of
from bench.results import size

FORMATS = ("html", "md")


@click.command()
@click.option("-o", "--output", metavar="FILE.html|md", help="The file to write.  [default: report.html]")
@league_options
@storage_option
@title_option
@word_option(
    "--format",
    FORMATS,
    "One page that works offline, or Markdown with its pictures in a folder.  [default: as FILE ends]",
)
@click.option("--open", "show", is_flag=True, help="Open it in a browser.")
@debug_option
def report(parameters: str | None, show: bool, **request: Any) -> int:
    """Write what the results folder holds as one page, and name the file.

    It has the league, whose rows can be sorted, filtered and chosen, all pictures that the records allow, the studies,
    and of each row its settings, its seeds and the command that repeats it. The page is one file, which works offline.
    """
    path = showing.report(parameters=span_of(parameters), **request)
    if path.suffix == ".html":
        click.echo(f"One file of {size(os.path.getsize(path))}, which needs nothing else.", err=True)
    click.echo(str(path))
    if show:
        click.launch(path.absolute().as_uri())
    return 0
