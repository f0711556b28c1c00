"""``bench reproduce``."""

from collections.abc import Sequence
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
from bench.errors import RequestError


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    from bench.recipes import catalogue

    return words(*catalogue())(context, parameter, incomplete)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE.yaml]…", shell_complete=_complete)
@click.option("every", "--all", is_flag=True, help="All recipes of the catalogue.")
@click.option("--list", "listed", is_flag=True, help="List the recipes, and what is stored of each.")
@click.option("--quick", is_flag=True, help="A small version for two cores, which judges nothing.")
@click.option("--no-run", is_flag=True, help="Compare what is stored, and run nothing.")
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
    quick: bool,
    no_run: bool,
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

    if every and names:
        raise RequestError(f"--all takes no names, got {names[0]!r}.")
    if not (names or every or listed):
        raise RequestError("Missing a NAME, --all or --list.")
    prepare(jobs, executor, where["device"], where["results"], no_run or listed)
    recipes = [read_recipe(name) for name in names or catalogue()]
    if listed:
        _show_list(recipes, quick, where, as_json)
        return 0
    done = []
    for recipe in recipes:
        found = _reproduced(recipe, quick, not no_run, quiet, where | {"jobs": jobs, "executor": executor})
        done.append(found)
        if not as_json:
            _show(found)
        if not found.whole and not no_run:
            break
    if page is not None:
        write_page(done, page)
    if as_json:
        print_json(recipes=[one.to_dict() for one in done])
    print_notes(problem for one in done for problem in one.problems)
    complete = no_run or (len(done) == len(recipes) and done[-1].whole)
    return outcome_code((), complete, any(one.problems for one in done))


def _reproduced(recipe: Any, quick: bool, run: bool, quiet: bool, where: dict[str, Any]) -> Any:
    from bench.recipes.reproduce import reproduce as made

    if quiet:
        return made(recipe, quick=quick, run=run, **where)
    with _progress.search_display() as (report, _):
        return made(recipe, quick=quick, run=run, display=_progress.sweep_progress, say=report, **where)


def _show(found: Any) -> None:
    """Print the claims of a recipe."""
    print_table(
        f"{found.recipe.name}: {found.recipe.title}",
        ["claim", "of", "published", "ours", "n", "verdict"],
        [[one.claim.claim, one.of, one.published, one.ours, one.n, one.verdict.word] for one in found.compared],
        fold=True,
    )
    reasons = {f"{one.verdict.word}: {one.verdict.why}." for one in found.compared if one.verdict.word != "agrees"}
    for line in (f"Source: {found.recipe.source}.", *sorted(reasons)):
        print_text(line)
    click.echo("")


def _show_list(recipes: Sequence[Any], quick: bool, where: dict[str, Any], as_json: bool) -> None:
    """Print the names of recipes, and how much of each is stored."""
    places = {name: where[name] for name in ("results", "packs", "device")}
    found = [_reproduced(recipe, quick, False, True, places) for recipe in recipes]
    if as_json:
        print_json(recipes=[one.to_dict() for one in found])
        return
    rows = []
    for one in found:
        stored, of = (sum(numbers) for numbers in zip(*one.arms.values(), strict=True))
        rows.append([one.recipe.name, one.recipe.title, f"{stored:,} of {of:,}"])
    print_table(None, ["recipe", "what", "runs stored"], rows, fold=True)
