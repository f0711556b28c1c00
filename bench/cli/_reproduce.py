"""``bench reproduce``."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from bench.cli import _progress
from bench.cli._options import (
    debug_option,
    device_option,
    executor_option,
    json_option,
    prepare,
    quiet_option,
    results_option,
    words,
)
from bench.cli._print import outcome_code, print_json, print_notes, print_table, print_text
from bench.errors import BenchError, RequestError


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    from bench.recipes import catalogue

    return words(*catalogue())(context, parameter, incomplete)


@dataclass
class _Outcome:
    """What came of several recipes.

    :ivar done: `Reproduced` of each that did not fail.
    :ivar errors: of those that failed, by name.
    :ivar documents: of all, in their order, as for ``--json``.
    :ivar whole: whether none was interrupted.
    """

    done: list[Any] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    documents: list[dict[str, Any]] = field(default_factory=list)
    whole: bool = True

    def notes(self) -> list[str]:
        """What went wrong."""
        return [*(problem for one in self.done for problem in one.problems), *self.errors.values()]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE.yaml]…", shell_complete=_complete)
@click.option("every", "--all", is_flag=True, help="All recipes of the catalogue.")
@click.option("--list", "listed", is_flag=True, help="List these recipes, or all, and what is stored of each.")
@click.option("--measures", is_flag=True, help="List what claims measure, for a recipe of your own.")
@click.option("--quick", is_flag=True, help="A small version for two cores, which judges nothing.")
@click.option("--no-run", is_flag=True, help="Compare what is stored, and run nothing.")
@click.option("arms", "--arm", metavar="ARM", multiple=True, help="Run this arm only; several times for several arms.")
@device_option
@executor_option
@click.option("--jobs", type=int, help="Worker processes on the CPU.  [default: one for each core]")
@results_option
@click.option(
    "--packs", metavar="DIR", type=click.Path(), help="Keep the records of each recipe here, in one small file."
)
@click.option(
    "--page", metavar="FILE.md", type=click.Path(dir_okay=False), help="Write a page with tables and pictures."
)
@json_option
@quiet_option
@debug_option
def reproduce(
    names: tuple[str, ...],
    every: bool,
    listed: bool,
    measures: bool,
    quick: bool,
    no_run: bool,
    arms: tuple[str, ...],
    jobs: int | None,
    executor: str,
    page: str | None,
    as_json: bool,
    quiet: bool,
    **where: Any,
) -> int:
    """Make published results again: run a recipe, and print published, ours and a verdict by its own rule.

    A recipe is a file of the catalogue, or one of yours. What is stored is not run again, and after an interruption the
    same command goes on.
    """
    from bench.recipes import catalogue, read_recipe, write_page
    from bench.results import check_output

    if measures:
        flags = {"--all": every, "--list": listed, "--quick": quick, "--no-run": no_run, "--page": page}
        return _list_measures([*names, *(flag for flag, given in flags.items() if given)], as_json)
    _check_flags(names, every, listed, no_run, page, arms)
    run = not (no_run or listed)
    if page is not None:
        check_output(page, "--page")
    _check_packs(where["packs"], run)
    recipes = [read_recipe(name) for name in dict.fromkeys(names) or catalogue()]
    _check_names(recipe.name for recipe in recipes)
    prepare(jobs, executor, where["device"], where["results"], not run)
    outcome = _Outcome()
    options = where | {"jobs": jobs, "executor": executor, "quick": quick, "run": run, "arms": arms}
    for recipe in recipes:
        _reproduce(recipe, outcome, quiet or listed, alone=len(recipes) == 1, **options)
        if not (as_json or listed) and recipe.name not in outcome.errors and outcome.done:
            _show(outcome.done[-1])
        if not outcome.whole:
            break
    if as_json:
        print_json(recipes=outcome.documents)
    elif listed:
        _show_list(outcome.done)
    print_notes(outcome.notes())
    if page is not None and outcome.done:
        write_page(outcome.done, page)
    return outcome_code((), outcome.whole, bool(outcome.notes()))


def _check_flags(
    names: Sequence[str], every: bool, listed: bool, no_run: bool, page: str | None, arms: Sequence[str]
) -> None:
    """Refuse options that do not go together."""
    if every and names:
        raise RequestError(f"--all takes no names, got {names[0]!r}.")
    if not (names or every or listed):
        raise RequestError("Missing a NAME, --all or --list.")
    if listed and page is not None:
        raise RequestError("--list writes no page: leave out --page, or use --no-run in place of --list.")
    if arms and (len(names) != 1 or no_run or listed):
        raise RequestError("--arm runs an arm of one recipe: give one NAME, and neither --no-run nor --list.")
    if listed and no_run:
        raise RequestError("--list runs nothing and compares nothing: leave out --no-run, or --list.")


def _check_packs(packs: str | None, run: bool) -> None:
    """Refuse a folder of packs that cannot be read or, where something is going to run, cannot be written to."""
    if packs is None:
        return
    folder, usable = Path(packs), False
    with suppress(OSError, ValueError):  # as of a name that is too long
        with suppress(FileNotFoundError):
            folder.stat()
        existing = next(one for one in (folder, *folder.absolute().parents) if os.path.lexists(one))
        usable = existing.is_dir() and os.access(existing, os.X_OK | (os.W_OK if run else os.R_OK))
    if not usable:
        raise RequestError(f"--packs must be a folder that can be {'written to' if run else 'read'}, got {packs!r}.")


def _check_names(names: Iterable[str]) -> None:
    """Refuse two files of one name, since what is kept of a recipe is found by its name."""
    known = set[str]()
    for name in names:
        if name in known:
            raise RequestError(f"two recipes are named {name!r}: rename one of the files.")
        known.add(name)


def _reproduce(recipe: Any, outcome: _Outcome, quiet: bool, alone: bool, **options: Any) -> None:
    """Reproduce a recipe. One that fails does not end the others; where it is the only one, its error is raised."""
    try:
        found = _reproduced(recipe, quiet, **options)
    except BenchError as error:
        if alone:
            raise
        outcome.errors[recipe.name] = str(error)
        outcome.documents.append({"name": recipe.name, "error": str(error)})
        return
    except KeyboardInterrupt:
        if not outcome.done:
            raise
        outcome.whole = False
        return
    outcome.done.append(found)
    outcome.documents.append(found.to_dict())
    outcome.whole = not found.interrupted


def _reproduced(recipe: Any, quiet: bool, **options: Any) -> Any:
    from bench.recipes.reproduce import reproduce as made

    if quiet:
        return made(recipe, **options)
    with _progress.search_display() as (report, _):
        return made(recipe, display=_progress.sweep_progress, say=report, **options)


def _show(found: Any) -> None:
    """Print the claims of a recipe."""
    print_table(
        f"{found.recipe.name}: {found.recipe.title}",
        ["claim", "of", "published", "ours", "n", "verdict"],
        [[one.claim.claim, one.of, one.published, one.ours, one.n, one.verdict.word] for one in found.compared],
        fold=True,
    )
    for line in (f"Source: {found.recipe.source}.", *_reasons(found)):
        print_text(line)
    click.echo("")


def _reasons(found: Any) -> list[str]:
    """A line for each reason of a verdict, with the claims that it is of; one line for all runs that are missing."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in found.compared:
        if one.verdict.word not in ("agrees", "not run"):
            reasons.setdefault((one.verdict.word, one.verdict.why), []).append(one.of)
    lines = []
    for (word, why), claims in reasons.items():
        of = "" if word == "not judged" else f" ({'; '.join(dict.fromkeys(claims))})"
        lines.append(f"{word}{of}: {why}.")
    lacking = dict.fromkeys(arm for one in found.compared if one.verdict.word == "not run" for arm in one.claim.arms)
    short = [arm for arm in lacking if found.arms[arm][0] < found.arms[arm][1]]
    return [*lines, f"not run: runs of {', '.join(short)} are missing."] if short else lines


def _list_measures(others: Sequence[str], as_json: bool) -> int:
    """Print what claims measure; what else was asked for is refused."""
    from bench.recipes import described_measures

    if others:
        raise RequestError(f"--measures lists what claims measure, and nothing else: leave out {others[0]}.")
    found = described_measures()
    if as_json:
        print_json(measures=found)
    else:
        print_table(None, list(found[0]), [list(one.values()) for one in found], fold=True)
    return 0


def _show_list(found: Sequence[Any]) -> None:
    """Print the names of recipes, and how much of each is stored."""
    rows = []
    for one in found:
        stored, of = (sum(numbers) for numbers in zip(*one.arms.values(), strict=True))
        rows.append([one.recipe.name, one.recipe.title, f"{stored:,} of {of:,}"])
    print_table(None, ["recipe", "what", "runs stored"], rows, fold=True)
