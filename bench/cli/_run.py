"""``bench run`` and ``bench rerun``."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

import bench
from bench.cli._options import (
    Given,
    debug_option,
    device_option,
    json_option,
    options_of,
    parse_settings,
    quiet_option,
    record_completer,
    results_option,
    settings_option,
    verbose_option,
)
from bench.specs import Request


@click.command()
@options_of(Request)
@settings_option
@device_option
@click.option("--jobs", type=Given(int), help="Worker processes.  [default: one for each core, or GPU]")
@click.option("--save-model", metavar="PATH", help="Save the fitted pipeline, for joblib.load; {seed} for several.")
@results_option
@click.option("--dry-run", is_flag=True, help="Show what would run.")
@click.option("--force", is_flag=True, help="Compute anew what is stored.")
@json_option
@verbose_option
@quiet_option
@debug_option
def run(
    settings: tuple[str, ...],
    jobs: int | None,
    save_model: str | None,
    dry_run: bool,
    as_json: bool,
    verbose: bool,
    quiet: bool,
    **request: Any,
) -> int:
    """Train one encoder and one learner on one task, over seeds.

    Cells that are stored already are shown, not computed again; a larger budget extends them, and after an
    interruption the same command goes on.
    """
    from bench.errors import StoreError
    from bench.results import check_folder
    from bench.scheduling import run_plan

    check_folder(request["results"])
    request["settings"] = parse_settings(settings)
    planned = bench.plan(**request)
    if dry_run:
        return _show_plan(planned, as_json, verbose)
    problem = None
    records: Sequence[Mapping[str, Any]]
    try:
        records = run_plan(planned, jobs, None if quiet else _display(), save_model)
    except StoreError as error:
        if not error.records:
            raise
        records, problem = error.records, error
    _show_records(records, as_json, planned, verbose)
    if problem:
        raise problem
    return _exit_code(records, planned)


@click.command()
@click.argument("id", shell_complete=record_completer)
@results_option
@json_option
@verbose_option
@quiet_option
@debug_option
def rerun(id: str, results: str, as_json: bool, verbose: bool, quiet: bool) -> int:
    """Compute the record ID anew and compare: does it come out the same?

    Nothing is stored. Exits with 0 where every number of the curve agrees, with 1 where one does not.
    """
    from bench.cli import _tables
    from bench.cli._print import print_json, print_tracebacks
    from bench.results import Store

    print_tracebacks([Store(results).find(id)])
    comparison = bench.rerun(id, results=results, display=None if quiet else _display())
    print_tracebacks([comparison.again])
    if as_json:
        print_json(cells=[comparison.stored, comparison.again], same=comparison.same, difference=comparison.difference)
    else:
        _tables.print_comparison(comparison, verbose)
    return 0 if comparison.same else 1


def _display() -> Any:
    from bench.cli._progress.run import progress

    return progress


def _show_plan(planned: Any, as_json: bool, verbose: bool) -> int:
    from bench.cli import _tables
    from bench.cli._print import print_json

    if as_json:
        print_json(dry_run=True, cells=[step.to_dict() for step in planned.steps])
    else:
        _tables.print_plan(planned, verbose)
    return 0


def _show_records(records: Sequence[Mapping[str, Any]], as_json: bool, planned: Any, verbose: bool) -> None:
    from bench.cli import _tables
    from bench.cli._print import print_json, print_tracebacks

    print_tracebacks(records)
    for note in _tables.notes(records, planned):
        click.echo(note, err=True)
    if as_json:
        print_json(cells=records)
    else:
        _tables.print_records(records, planned.results, verbose)


def _exit_code(records: Sequence[Mapping[str, Any]], planned: Any) -> int:
    """130 where a cell was interrupted or never began, 1 where one failed or timed out, else 0."""
    asked = {step.spec.id: step.budget.steps for step in planned.steps}
    short = [r for r in records if r["final"]["step"] is None or r["final"]["step"] < asked[r["id"]]]
    statuses = {record["status"] for record in short}
    if len(records) < len(planned.steps) or "interrupted" in statuses:
        kept = "What is done is stored; the same command goes on from there."
        click.echo(f"Interrupted. {kept if planned.results else 'Nothing is stored.'}", err=True)
        return 130
    return 1 if statuses & {"failed", "timeout"} else 0
