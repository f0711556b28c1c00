"""``bench dashboard``."""

import signal

import click

from bench import tuning
from bench.cli._options import debug_option, quiet_option, results_option


@click.command()
@click.option("--storage", metavar="URL", help="Where the studies are.  [default: journal:///RESULTS/studies.journal]")
@click.option("--study", metavar="NAME", help="Print the address of this study's page.")
@results_option
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to listen at.")
@click.option("--port", type=int, default=8080, show_default=True, help="If taken, another is used; 0 takes any free.")
@quiet_option
@debug_option
def dashboard(storage: str | None, study: str | None, results: str, host: str, port: int, quiet: bool) -> None:
    """Serve studies to a browser until Ctrl-C.

    The first line of output has the address; with --quiet it is the address alone. Only this machine can reach the
    server unless --host names another address: anyone who reaches it can change and delete studies.
    """
    url = tuning.default_url(results) if storage is None else storage
    tuning.serve(url, host, port, tuning.artifacts_folder(results), study, quiet)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would interrupt Python's own exit, with a traceback
