"""Options of commands that ask a ranking: which records, ranked by what."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from bench.cli._options import options_of, source_option, word_option
from bench.errors import RequestError
from bench.ranking import CRITERIA, CROSSINGS
from bench.specs import Request

F = TypeVar("F", bound=Callable[..., Any])

FILTERS = {
    "encoder": "NAME,…",
    "learner": "NAME,…",
    "optimizer": "NAME,…",
    "task": "NAME,…",
    "pairs": "PROTOCOL,…",
    "train_fraction": "FRACTION,…",
    "modulus": "P,…",
    "label_noise": "SHARE,…",
}
"""Fields of which only some values are read, each with the placeholder of these."""

broken_option = click.option(
    "--skip-broken", is_flag=True, help="Leave out records that cannot be read, instead of stopping at one."
)


def filter_options(command: F) -> F:
    """An option for each filter."""
    filters = {
        name: {"help": "Only these.", "metavar": metavar, "show_default": False} for name, metavar in FILTERS.items()
    }
    return options_of(Request, FILTERS, several=FILTERS, fixed=False, **filters)(command)


def question_options(command: F, source: Callable[[F], F] = source_option) -> F:
    """The options of `bench.rank` but ``--blocks``; ``--parameters`` is still text, for `span_of`.

    :param source: the option that names what is read.
    """
    options = (
        source,
        word_option(
            "--by",
            CRITERIA,
            "Test accuracy; or steps, seconds, FLOPs or the fraction of the pairs that it takes to the target.",
            default="accuracy",
        ),
        click.option(
            "--target",
            type=float,
            default=0.99,
            show_default=True,
            metavar="0.95|0.99",
            help="Test accuracy to reach.",
        ),
        word_option("--crossing", CROSSINGS, "Reached once, or reached and held.", default="sustained"),
        click.option(
            "--horizon",
            type=float,
            metavar="H",
            help="Read all runs up to this step (seconds or FLOPs where rows are ranked by these), and nothing later.  "
            "[default: in each block the smallest budget of a row]",
        ),
        filter_options,
        click.option(
            "--parameters", metavar="LOW..HIGH", help="Only rows of so many trainable numbers; either end may be left."
        ),
        broken_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def league_options(command: F, source: Callable[[F], F] = source_option) -> F:
    """The options of `question_options`, and those of commands that show the league itself."""
    options = (
        click.option(
            "--baseline",
            metavar="LABEL",
            help="Compare all rows with this one: a label, a learner, or encoder and learner.",
        ),
        click.option("--published", is_flag=True, help="Add published figures of the same tasks, with their sources."),
    )
    for option in reversed(options):
        command = option(command)
    return question_options(command, source)


def span_of(text: str | None) -> tuple[float | None, float | None]:
    """The two ends of "1000..1e6", "1000.." or "..1e6"."""
    if text is None:
        return None, None
    low, dots, high = text.partition("..")
    try:
        ends = float(low) if low else None, float(high) if high else None
    except ValueError:
        ends = None, None
    known = [end for end in ends if end is not None]
    if not dots or not known or known != sorted(known):
        raise RequestError(f"--parameters takes LOW..HIGH, LOW.. or ..HIGH, got {text!r}.")
    return ends
