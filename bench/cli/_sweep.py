"""``bench sweep``."""

from typing import Any

import click

from bench.cli._options import (
    debug_option,
    device_option,
    json_option,
    options_of,
    parse_settings,
    parse_value,
    parted,
    quiet_option,
    results_option,
    settings_option,
)
from bench.specs import Request, options

SEVERAL = {name for name, (option, _) in options(Request).items() if option.several}


@click.command()
@click.argument("grid", required=False, metavar="[GRID.yaml]", type=click.Path(dir_okay=False))
@options_of(
    Request, several=SEVERAL, fixed=False, seconds={"help": "Hard limit for each cell that has none of its own."}
)
@settings_option
@click.option("vary", "--vary", multiple=True, metavar="OWNER.NAME=A,B", help="Try a parameter at each of these.")
@device_option
@click.option("--jobs", type=int, help="Worker processes on the CPU.  [default: one for each core]")
@results_option
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
    jobs: int | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> int:
    """Run many cells: a grid from a YAML file, or every combination of what the options name.

    Cells that are stored already are not computed again; a larger budget extends them, and after an interruption, of
    whatever kind, the same command goes on. Several processes may sweep one results folder: no cell is done twice.
    """
    from bench.executors import warm as early

    wanted = _from_options(settings, vary, asked)
    _check(grid, wanted, jobs)
    if not dry_run:
        early.start(device)
    from bench.results import check_folder

    check_folder(results)
    from bench.cli import _sweep_tables as tables
    from bench.cli._progress.sweep import sweep_progress
    from bench.scheduling import Grid, execute, plan_sweep, read

    chosen = read(grid) if grid is not None else Grid.of(wanted, "the options")
    planned = plan_sweep(chosen, device=device, results=results, force=force, seconds=seconds)
    if dry_run:
        tables.show_plan(planned, as_json, jobs)
        return 0
    whole = execute(planned, jobs, None if quiet else sweep_progress)
    if (click.get_current_context().obj or {}).get("debug"):
        _show_tracebacks(planned)
    return tables.show_results(planned, as_json, whole)


def _show_tracebacks(planned: Any) -> None:
    """Where the errors of cells come from that failed in this run."""
    for record in planned.records():
        if record["id"] in planned.failures and record["error"]:
            seed = record["spec"]["seed"]
            click.echo(f"{record['label']}, seed {seed}:\n{record['error']['traceback'].rstrip()}", err=True)


def _check(grid: str | None, wanted: dict[str, Any], jobs: int | None) -> None:
    from bench.errors import RequestError

    if jobs is not None and jobs < 1:
        raise RequestError(f"--jobs must be an integer ≥ 1, got {jobs}.")
    if grid is not None and wanted:
        option = next(iter(wanted)).replace("_", "-")
        raise RequestError(f"A grid comes from a file or from options, got {grid!r} and --{option}.")
    for name in ("encoder", "learner"):
        if grid is None and name not in wanted:
            raise RequestError(f"Missing GRID.yaml, or --{name}.")


def _from_options(settings: tuple[str, ...], vary: tuple[str, ...], asked: dict[str, Any]) -> dict[str, Any]:
    """A grid as in a file; a value of --set is one value, whatever it is."""
    from bench.errors import RequestError

    wanted = {name: value for name, value in asked.items() if value is not None}
    wanted |= {key: [value] for key, value in parse_settings(settings).items()}
    for text in vary:
        key, equals, values = text.partition("=")
        if not equals or "." not in key:
            raise RequestError(f"--vary takes OWNER.NAME=A,B, got {text!r}.")
        wanted[key.strip()] = [parse_value(value) for value in parted(values) or []]
    return wanted
