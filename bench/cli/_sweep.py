"""``bench sweep``."""

from typing import Any

import click

from bench import scheduling
from bench.cli import _progress, _tables
from bench.cli._options import (
    debug_option,
    device_option,
    executor_option,
    json_option,
    keep_states_option,
    options_of,
    parse_settings,
    parse_value,
    parted,
    prepare,
    quiet_option,
    results_option,
    settings_option,
)
from bench.cli._print import outcome_code, print_notes, print_tracebacks
from bench.errors import RequestError
from bench.specs import Request, options

SEVERAL = {name for name, (option, _) in options(Request).items() if option.several}


@click.command()
@click.argument("grid", required=False, metavar="[GRID.yaml]", type=click.Path(dir_okay=False))
@options_of(
    Request,
    several=SEVERAL,
    fixed=False,
    encoder={"help": "Encoders, or all."},
    learner={"help": "Learners, or all."},
    seeds={"help": "Seeds 0 … N − 1 of each combination."},
    steps={"help": "Budget in optimizer updates.  [default: each learner's]", "show_default": False},
    seconds={"help": "Hard limit for each cell that has none of its own."},
)
@settings_option
@click.option("vary", "--vary", multiple=True, metavar="OWNER.NAME=A,B", help="Try a parameter at each of these.")
@device_option
@executor_option
@click.option("--jobs", type=int, help="Worker processes on the CPU.  [default: one for each core]")
@keep_states_option
@results_option
@click.option(
    "--shard", metavar="K/N", help="Run every N-th job of the whole grid, from the K-th on; bench merge joins all N."
)
@click.option("--dry-run", is_flag=True, help="Show what would run, and about how long.")
@click.option("--force", is_flag=True, help="Compute anew what is stored.")
@json_option
@quiet_option
@debug_option
def sweep(
    grid: str | None,
    settings: tuple[str, ...],
    vary: tuple[str, ...],
    device: str,
    results: str,
    seconds: float | None,
    force: bool,
    keep_states: int,
    jobs: int | None,
    executor: str,
    shard: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **request: Any,
) -> int:
    """Run many cells: a grid from a YAML file, or every combination of what the options name.

    An option takes several values where its placeholder has a comma, as in --modulus 11,13.

    Cells that are stored already are not computed again; a larger budget extends them, and after an interruption, of
    whatever kind, the same command goes on. Several processes may sweep one results folder: no cell is done twice.
    """
    wanted = _from_options(settings, vary, request)
    _check(grid, wanted)
    prepare(jobs, executor, device, results, dry_run)
    chosen = scheduling.read(grid) if grid is not None else scheduling.Grid.of(wanted, "the options")
    planned = scheduling.plan_sweep(
        chosen,
        device=device,
        results=results,
        force=force,
        keep_states=keep_states,
        seconds=seconds,
        executor=executor,
        shard=shard,
    )
    if dry_run:
        print_notes(planned.warnings)
        _tables.show_plan(planned, as_json, jobs)
        return 0
    complete = scheduling.execute(planned, jobs, None if quiet else _progress.sweep_progress)
    print_tracebacks(record for _, record in planned.indexed_records() if record["id"] in planned.failures)
    seen, statuses = _tables.show_results(planned, as_json)
    troubles = planned.failures or planned.problems or planned.unread
    return outcome_code(statuses, complete and seen + len(planned.unread) == len(planned), bool(troubles))


def _check(grid: str | None, wanted: dict[str, Any]) -> None:
    if grid is not None and wanted:
        option = next(iter(wanted)).replace("_", "-")
        raise RequestError(f"A grid comes from a file or from options, got {grid!r} and --{option}.")
    for name in ("encoder", "learner"):
        if grid is None and name not in wanted:
            raise RequestError(f"Missing GRID.yaml, or --{name}.")


def _from_options(settings: tuple[str, ...], vary: tuple[str, ...], fields: dict[str, Any]) -> dict[str, Any]:
    """A grid as in a file. Each value of --set is one value, even where it is a list."""
    wanted = {name: value for name, value in fields.items() if value is not None}
    wanted |= {key: [value] for key, value in parse_settings(settings).items()}
    for text in vary:
        key, equals, values = text.partition("=")
        if not equals or "." not in key:
            raise RequestError(f"--vary takes OWNER.NAME=A,B, got {text!r}.")
        wanted[key.strip()] = [parse_value(value) for value in parted(values)]
    return wanted
