"""``bench plot``: one picture as a file."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from bench import reports, showing
from bench.cli._messages import with_options
from bench.cli._options import Given, debug_option, record_completer
from bench.cli._question import question_options, span_of


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete kinds of pictures."""
    kinds = reports.picture_kinds().values()
    return [CompletionItem(kind.name, help=kind.summary) for kind in kinds if kind.name.startswith(incomplete)]


class _Plot(click.Command):
    """A command whose help lists the kinds of pictures, which are found by their files."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the kinds, then the options."""
        with formatter.section("Kinds"):
            formatter.write_dl([(kind.name, kind.summary) for kind in reports.picture_kinds().values()])
        super().format_options(context, formatter)


@click.command(cls=_Plot)
@click.argument("kind", shell_complete=_complete)
@click.argument("id", required=False, shell_complete=record_completer)
@click.option("-o", "--output", metavar="FILE.png|svg|pdf|html", help="The file to write.  [default: KIND.png]")
@question_options
@click.option("--most", "--top", "most", type=Given(int), metavar="N", help="Draw N configurations, the best ones.")
@click.option("--band", metavar="quartiles|range", help="Of curves: what the band around a median is.")
@click.option("--cost", metavar="seconds|flops|steps", help="Of cost: what is counted.")
@click.option("--width", type=Given(int), default=800, show_default=True, metavar="PX", help="In pixels, 100 an inch.")
@click.option(
    "--storage", metavar="URL", help="Of a study: where it is.  [default: journal:///RESULTS/studies.journal]"
)
@click.option("--study", metavar="NAME", help="Of a study: its name.  [default: the only one there is]")
@click.option("--theme", default="light", show_default=True, metavar="light|dark", help="Colours of the page.")
@debug_option
def plot(
    kind: str, id: str | None, output: str | None, parameters: str | None, width: int, theme: str, **request: Any
) -> int:
    """Draw a picture of what the results folder holds, and name the file.

    KIND is one of those below; errors, spectrum, embedding and progress take the ID of a record. The options of
    rank choose records and their order; those of a study do not apply to others. What stands below the picture is
    printed, too.
    """
    found = reports.kind_of(kind)
    path = output or f"{found.name}.png"
    reports.check_picture(path)
    reports.check_layout(width, theme)
    said: list[str] = []

    def say(line: str) -> None:
        if line not in said:
            said.append(line)
            click.echo(with_options(line), err=True)

    drawn = showing.picture(kind, id=id, parameters=span_of(parameters), say=say, **request)
    reports.write_picture(drawn, path, width, theme)
    for line in drawn["layout"]["meta"]["caption"]:
        say(line)
    click.echo(path)
    return 0
