"""``bench tune``."""

from typing import Any

import click

from bench import tuning
from bench.cli import _progress, _tables
from bench.cli._options import (
    debug_option,
    device_option,
    executor_option,
    is_debug,
    json_option,
    options_of,
    parse_value,
    parted,
    prepare,
    quiet_option,
    results_option,
)
from bench.cli._print import outcome_code, print_json, print_notes, print_table
from bench.errors import RequestError
from bench.results import exponential, many, shown
from bench.specs import Request, options


def _choice(name: str) -> dict[str, str]:
    """The help of a field that a search draws where there are several values."""
    return {"help": f"{options(Request)[name][0].help.removesuffix('.')}; several are a choice."}


@click.command()
@options_of(
    Request,
    tuning.SHARED,
    several=tuning.SEARCHED,
    validation_fraction={"default": 0.1, "show_default": True, "help": "Share of the pairs that judge trials."},
    train_fraction={
        "type": str,
        "metavar": "FRACTION|LOW..HIGH|A,B",
        "help": "Share of the pairs that train; several where data is an objective.",
    },
    learner={"help": "Learner to tune."},
    encoder=_choice("encoder"),
    combine=_choice("combine"),
    sdr=_choice("sdr"),
)
@click.option(
    "--space",
    multiple=True,
    metavar="OWNER.NAME=LOW..HIGH[:log]|A,B",
    help="Search a parameter there, instead or in addition. Repeatable.",
)
@click.option("--fix", multiple=True, metavar="OWNER.NAME=VALUE", help="Hold a parameter at a value. Repeatable.")
@options_of(tuning.Search)
@device_option
@executor_option
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
    executor: str,
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
    prepare(jobs, executor, request["device"], request["results"], dry_run)
    planned = tuning.plan_tune(
        train_fraction=_fraction(train_fraction),
        space={name: _choices(text) for name, text in _named("--space", space)},
        fix={name: parse_value(text) for name, text in _named("--fix", fix)},
        executor=executor,
        **request,
    )
    if dry_run:
        _show_plan(*tuning.preview(planned), as_json)
        return 0
    if quiet:
        done = tuning.run_tune(planned, jobs)
    else:
        with _progress.search_display() as (report, status):
            done = tuning.run_tune(planned, jobs, report, tuning.Verbosity(verbose, is_debug(), status))
    if as_json:
        result = {name: getattr(done, name) for name in ("trials", "best", "front", "cells", "cost", "command")}
        print_json(study=done.study, storage=done.storage, **_setting(planned), rule=done.rule, **result)
    elif done.best is not None:
        _show_winner(done.best, done, planned)
    print_notes(done.problems)
    failed = bool(done.problems) or len(done.cells) < planned.fresh
    return outcome_code({record["status"] for record in done.cells}, done.whole, failed)


def _fraction(text: str) -> Any:
    """A number, a list of numbers, or the text of a range."""
    if ".." in text:
        return text
    try:
        several = [float(part) for part in text.split(",")]
    except ValueError:
        raise RequestError(f"--train-fraction takes a number, LOW..HIGH or A,B, got {text!r}.") from None
    return several if len(several) > 1 else several[0]


def _named(option: str, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Name and value of each ``OWNER.NAME=VALUE``."""
    pairs = []
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if "." not in name or not value:
            raise RequestError(f"{option} takes OWNER.NAME=…, got {text!r}.")
        pairs.append((name, value))
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"{option} takes a parameter once, got {name!r} {names.count(name)} times.")
    return pairs


def _choices(text: str) -> Any:
    return text if ".." in text else [parse_value(part) for part in parted(text)]


def _setting(planned: Any) -> dict[str, Any]:
    """What a study looks for and how, for ``--json``."""
    return {"objective": list(planned.objectives), "sampler": planned.sampler}


def _show_plan(planned: Any, stored: int, as_json: bool) -> None:
    space = planned.space.describe()
    if as_json:
        print_json(
            dry_run=True,
            study=planned.study,
            storage=planned.storage,
            stored=stored,
            space=space,
            rule=planned.rule,
            round=planned.round,
            **_setting(planned),
        )
        return
    rows = [[name, ranges] for name, ranges in space.items()]
    rows += [[name, f"{value} (fixed)"] for name, value in planned.space.fixed.items()]
    print_table(planned.study, ["parameter", "space"], rows)
    click.echo("\n" + "\n".join(tuning.describe_plan(planned)))
    if stored:
        click.echo(f"{many(stored, 'trial')} of it are stored already.")
    click.echo("Nothing has run.")


def _show_winner(best: dict[str, Any], done: Any, planned: Any) -> None:
    """Print the best trial, the Pareto front, what the search cost, and the results of the winner on the vault."""
    values = best["value"] if isinstance(best["value"], list) else [best["value"]]
    scores = [_worth(name, value, best, planned) for name, value in zip(planned.objectives, values, strict=True)]
    click.echo(f"Trial {best['number']}, the best of {done.trials}: {', '.join(scores)}")
    if best["doubt"] and best["held"] is not None:  # the line above says when it was not held
        click.echo(f"Note that {best['doubt']}.")
    print_table(None, ["parameter", "value"], [[name, shown(value)] for name, value in best["params"].items()])
    if done.front:
        click.echo("")
        print_table(
            "Pareto front",
            ["trial", *map(str, planned.objectives)],
            [[str(one["number"]), *map(shown, one["value"])] for one in done.front],
        )
    flops = "" if done.cost["flops"] is None else f"{exponential(done.cost['flops'])} FLOPs and "
    click.echo(f"\nThe search took {flops}{done.cost['seconds']:.0f} s, summed over its trials.")
    if done.cells:
        click.echo("")
        _tables.print_records(done.cells, planned.results)
        click.echo("test: on pairs of the vault, which no trial saw.")
        click.echo(f"{tuning.describe_test_crossings(done.cells)}.")
    click.echo(f"Study {done.study!r} in {done.storage}.")
    click.echo(
        "\nTo train this setting by itself, tested on all pairs that do not train it, those that chose it included:"
        f"\n  {done.command}"
    )


def _worth(objective: str, value: float, best: dict[str, Any], planned: Any) -> str:
    """The value of an objective in words."""
    label = tuning.LABELS[objective]
    if objective in ("accuracy", "data") or best.get("held", 0) is not None:
        return f"{label} {shown(value)}"
    every = "" if planned.seeds == 1 else " by every seed"
    return f"{label}: not held{every} within {best['budget']:,} steps, which counts as {shown(value)}"
