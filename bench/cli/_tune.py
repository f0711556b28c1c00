"""``bench tune``."""

from typing import Any

import click

from bench.cli._options import (
    as_options,
    debug_option,
    device_option,
    json_option,
    options_of,
    parse_value,
    parted,
    quiet_option,
    results_option,
)
from bench.specs import Request
from bench.tuning import SEARCHED, SHARED, Search


@click.command()
@options_of(
    Request,
    SHARED,
    several=SEARCHED,
    validation_fraction={"default": 0.1, "show_default": True, "help": "Share of the pairs that judge trials."},
    train_fraction={"type": str, "metavar": "FRACTION|LOW..HIGH|A,B"},
)
@click.option(
    "--space",
    multiple=True,
    metavar="OWNER.NAME=LOW..HIGH[:log]|A,B",
    help="Search a parameter there, instead or in addition. Repeatable.",
)
@click.option("--fix", multiple=True, metavar="OWNER.NAME=VALUE", help="Hold a parameter at a value. Repeatable.")
@options_of(Search)
@device_option
@click.option("--jobs", type=int, help="Worker processes on the CPU.  [default: one for each core]")
@results_option
@click.option("--dry-run", is_flag=True, help="Show the space and the rules.")
@click.option("--verbose", is_flag=True, help="Say what came of each trial.")
@json_option
@quiet_option
@debug_option
def tune(
    train_fraction: str,
    space: tuple[str, ...],
    fix: tuple[str, ...],
    jobs: int | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **request: Any,
) -> int:
    """Search the best setting of a learner and an encoder, then test it on fresh seeds and pairs that no trial saw.

    Trials are judged by validation pairs. The winner alone is tested, on the pairs of the vault, and its records land
    in the results folder. The same command goes on after an interruption; several processes may share a study.
    """
    from bench.errors import RequestError
    from bench.executors import warm as early

    if jobs is not None and jobs < 1:
        raise RequestError(f"--jobs must be an integer ≥ 1, got {jobs}.")
    if not dry_run:
        early.start(request["device"])
    from bench.results import check_folder

    check_folder(request["results"])
    from bench.tuning import plan_tune, preview, run_tune

    planned = plan_tune(
        train_fraction=_fraction(train_fraction),
        space={name: _choices(text) for name, text in _named("--space", space)},
        fix={name: parse_value(text) for name, text in _named("--fix", fix)},
        **request,
    )
    if dry_run:
        return _show_plan(*preview(planned), as_json)
    from bench.cli._progress.tune import search_display
    from bench.tuning import Verbosity

    debug = bool((click.get_current_context().obj or {}).get("debug"))
    if quiet:
        done = run_tune(planned, jobs)
    else:
        with search_display() as (report, status):
            done = run_tune(planned, jobs, report, Verbosity(verbose, debug, status))
    _show(done, planned, as_json)
    for problem in dict.fromkeys(done.problems):
        click.echo(f"Note: {as_options(problem)}", err=True)
    statuses = {record["status"] for record in done.cells}
    if not done.whole or "interrupted" in statuses:
        click.echo("Interrupted. What is done is stored; the same command goes on from there.", err=True)
        return 130
    return 1 if done.problems or statuses & {"failed", "timeout"} or len(done.cells) < planned.fresh else 0


def _fraction(text: str) -> Any:
    from bench.errors import RequestError

    if ".." in text:
        return text
    try:
        several = [float(part) for part in text.split(",")]
    except ValueError:
        raise RequestError(f"--train-fraction takes a number, LOW..HIGH or A,B, got {text!r}.") from None
    return several if len(several) > 1 else several[0]


def _named(option: str, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    from bench.errors import RequestError

    pairs = [text.partition("=") for text in texts]
    for text, (name, _, value) in zip(texts, pairs, strict=True):
        if "." not in name or not value.strip():
            raise RequestError(f"{option} takes OWNER.NAME=…, got {text!r}.")
    names = [name.strip() for name, _, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"{option} takes a parameter once, got {name!r} {names.count(name)} times.")
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def _choices(text: str) -> Any:
    return text if ".." in text else [parse_value(part) for part in parted(text) or []]


def _show_plan(planned: Any, stored: int, as_json: bool) -> int:
    from bench.cli._print import print_json, print_table
    from bench.tuning import describe_plan

    found = planned.space.describe()
    if as_json:
        rule = {
            "rule": planned.rule,
            "objective": list(planned.objectives),
            "sampler": planned.sampler,
            "round": planned.round,
        }
        print_json(dry_run=True, study=planned.study, storage=planned.storage, stored=stored, space=found, **rule)
        return 0
    rows = [[name, words] for name, words in found.items()] + [
        [n, f"{v} (fixed)"] for n, v in planned.space.fixed.items()
    ]
    print_table(planned.study, ["parameter", "space"], rows)
    click.echo("")
    for line in describe_plan(planned):
        click.echo(line)
    if stored:
        click.echo(f"{stored:,} trial{'s' if stored > 1 else ''} of it are stored already.")
    click.echo("Nothing has run.")
    return 0


def _show(done: Any, planned: Any, as_json: bool) -> None:
    from bench.cli import _tables
    from bench.cli._print import print_json, print_table
    from bench.results import exponential, shown
    from bench.tuning import describe_test_crossings

    if as_json:
        rule = {"objective": list(planned.objectives), "sampler": planned.sampler, "rule": done.rule}
        found = {"trials": done.trials, "best": done.best, "front": done.front, "cells": done.cells, "cost": done.cost}
        found["command"] = done.command
        print_json(study=done.study, storage=done.storage, **rule, **found)
        return
    if done.best is None:
        return
    values = done.best["value"] if isinstance(done.best["value"], list) else [done.best["value"]]
    worth = zip(planned.objectives, values, strict=True)
    rows = [[name, shown(value)] for name, value in done.best["params"].items()]
    told = ", ".join(_worth(name, value, done.best, planned) for name, value in worth)
    click.echo(f"Trial {done.best['number']}, the best of {done.trials}: {told}")
    if done.best["doubt"] and done.best["held"] is not None:  # else the line above says it
        click.echo(f"Note that {done.best['doubt']}.")
    print_table(None, ["parameter", "value"], rows)
    if done.front:
        click.echo("")
        named = [str(name) for name in planned.objectives]
        front = [[str(one["number"]), *map(shown, one["value"])] for one in done.front]
        print_table("Pareto front", ["trial", *named], front)
    flops = "" if done.cost["flops"] is None else f"{exponential(done.cost['flops'])} FLOPs and "
    click.echo(f"\nThe search took {flops}{done.cost['seconds']:.0f} s, summed over its trials.")
    if done.cells:
        click.echo("")
        _tables.print_records(done.cells, planned.results)
        click.echo("test: on pairs of the vault, which no trial saw.")
        click.echo(f"{describe_test_crossings(done.cells)}.")
    click.echo(f"Study {done.study!r} in {done.storage}.")
    click.echo(
        "\nTo train this setting by itself, tested on all pairs that do not train it, those that chose it included:"
    )
    click.echo(f"  {done.command}")


def _worth(objective: str, value: float, best: dict[str, Any], planned: Any) -> str:
    from bench.results import shown
    from bench.tuning import LABELS

    if objective in ("accuracy", "data") or best.get("held", 0) is not None:
        return f"{LABELS[objective]} {shown(value)}"
    every = "" if planned.seeds == 1 else " by every seed"
    counted = f"which counts as {shown(value)}"
    return f"{LABELS[objective]}: not held{every} within {best['budget']:,} steps, {counted}"
