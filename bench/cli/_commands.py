"""The group of all commands. Before a command runs, only click and light modules of `bench` are imported."""

import os
import signal
import sys
import traceback
from collections.abc import Iterable
from typing import Any

import click

from bench import executors, specs
from bench.cli._dashboard import dashboard
from bench.cli._export import export
from bench.cli._folders import clean, merge, pack
from bench.cli._info import info
from bench.cli._look import doctor, list_names
from bench.cli._messages import printed_notices, with_options
from bench.cli._new import new
from bench.cli._plot import plot
from bench.cli._publish import publish
from bench.cli._rank import rank
from bench.cli._report import report
from bench.cli._reproduce import reproduce
from bench.cli._run import rerun, run
from bench.cli._show import show
from bench.cli._speed import speed
from bench.cli._status import status
from bench.cli._streams import failure_of_output, prepare_streams, reader_left, unwrap_streams
from bench.cli._sweep import sweep
from bench.cli._tune import tune
from bench.cli._unexpected import described
from bench.errors import BenchError

LONGEST_ERROR = 600
INTERRUPTED = 130
TWO_COLUMNS = 76
"""From this width on, the meaning of an option is printed beside it."""
HELPS = "mod97.helps"
"""Under which a context says whether help is asked for."""
WHOLE = 1000
"""A number of letters that no sentence has."""

HELP = """Compare learners that generalize: encoders and learners on a + b mod 97 and its relatives.

\b
  python -m bench run --encoder cycle --learner mlp
  python -m bench sweep bench/grids/quick.yaml
  python -m bench rank
  python -m bench list
"""


class _Formatter(click.HelpFormatter):
    """Print the meaning of an option below it on a narrow terminal, so that no word is broken."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms and their meanings."""
        if self.width >= TWO_COLUMNS:
            super().write_dl(list(rows), col_max, col_spacing)
            return
        for term, meaning in rows:
            self.write_text(term)
            with self.indentation():
                self.write_text(meaning)


class _Context(click.Context):
    formatter_class = _Formatter


class _Group(click.Group):
    """A group whose help prints the whole first sentence of each command."""

    context_class = _Context

    def invoke(self, context: click.Context) -> Any:
        """Run a command."""
        context.meta[HELPS] = not set(context.args).isdisjoint(context.help_option_names)
        try:
            return super().invoke(context)
        except BrokenPipeError as error:  # click would end in silence; that of the output itself does not come here
            raise BenchError(described(error)) from error

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by name."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.commands[name].get_short_help_str(WHOLE)) for name in sorted(self.commands)]
            )


@click.group(cls=_Group, help=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mod97", prog_name="mod97")
@click.pass_context
def cli(context: click.Context) -> None:
    """Check the environment, unless help is asked for; `doctor` shows what is wrong itself."""
    if not context.meta[HELPS]:
        executors.settle_variables()
        if context.invoked_subcommand != doctor.name:
            executors.check_variables()


COMMANDS = (
    *(run, sweep, tune, status, rank, plot, report, show, export, publish, merge, pack, clean, rerun),
    *(reproduce, speed, dashboard, list_names, info, doctor, new),
)
for command in COMMANDS:
    command.context_class = _Context
    if sys.flags.optimize > 1:  # python -OO drops docstrings
        command.help = specs.docstring(command.callback)
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 all is well, 1 something failed, 2 the request was wrong, 130 interrupted."""
    executors.own_all_signals()
    code = exit_code(arguments)
    if code == INTERRUPTED:  # a second Ctrl-C would interrupt Python's own exit, with a traceback
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def exit_code(arguments: list[str] | None) -> int:
    """Run the command line and print its errors; the exit code."""
    prepare_streams()
    with printed_notices():
        return _exit_code(arguments)


def _exit_code(arguments: list[str] | None) -> int:
    settings: dict[str, Any] = {"debug": False}
    prog = "mod97" if os.path.basename(sys.argv[0]) == "mod97" else "python -m bench"
    try:
        code = int(cli.main(arguments, prog_name=prog, standalone_mode=False, obj=settings) or 0)
        return _after_output(code, settings)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        return _say(error.format_message(), error.exit_code, settings)
    except BenchError as error:
        return _say(str(error), error.exit_code, settings)
    except (KeyboardInterrupt, click.Abort):
        return _say("Interrupted.", INTERRUPTED, settings)
    except Exception as error:
        failed = failure_of_output() if isinstance(error, OSError) else None
        if failed is not None:
            return _say_of_output(failed, 0, settings)
        return _say(described(error, keep_traceback=not settings["debug"]), 1, settings)
    finally:
        warm = sys.modules.get("bench.executors.warm")
        if warm is not None:  # processes for GPUs that a wrong request has left unused
            warm.stop_unused()
        unwrap_streams()


def _after_output(code: int, settings: dict[str, Any]) -> int:
    """The exit code of a command that is done, after its output is written."""
    failed = failure_of_output()
    return code if failed is None else _say_of_output(failed, code, settings)


def _say_of_output(failed: OSError, code: int, settings: dict[str, Any]) -> int:
    if reader_left(failed):
        return code
    return _say(f"The output cannot be written: {failed.strerror}. What was computed is kept.", code or 1, settings)


def _say(message: str, code: int, settings: dict[str, Any]) -> int:
    if settings["debug"]:
        traceback.print_exc()
    line = with_options(" ".join(message.split()))
    click.echo(f"Error: {line if len(line) <= LONGEST_ERROR else line[:LONGEST_ERROR] + '…'}", err=True)
    return code
