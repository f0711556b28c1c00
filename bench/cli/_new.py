"""``bench new``: a plugin file that works, to be made one's own."""

import click

from bench.cli._options import debug_option, words
from bench.cli._scaffold import write_plugin


@click.command()
@click.argument("kind", metavar="encoder|learner", shell_complete=words("encoder", "learner"))
@click.argument("name")
@click.option("--output", metavar="DIR", type=click.Path(file_okay=False), help="Folder to write to.")
@debug_option
def new(kind: str, name: str, output: str | None) -> int:
    """Write the file of a new encoder or learner that passes its contract as it is.

    Where mod97 runs from its checkout, it goes there, where it is found at once; where mod97 is an installed package,
    it goes into the current folder, with the lines that register it from a package of your own.
    """
    for line in write_plugin(kind, name, output):
        click.echo(line)
    return 0
