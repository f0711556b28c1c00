"""``bench run`` and ``bench rerun``."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

import bench
from bench import executors, results, scheduling
from bench.cli import _progress, _tables
from bench.cli._options import (
    Given,
    debug_option,
    device_option,
    executor_option,
    json_option,
    keep_states_option,
    options_of,
    parse_settings,
    prepare,
    quiet_option,
    record_completer,
    results_option,
    settings_option,
    source_option,
    verbose_option,
)
from bench.cli._print import outcome_code, print_json, print_notes, print_tracebacks
from bench.errors import StoreError
from bench.specs import Request


@click.command()
@options_of(Request)
@settings_option
@device_option
@executor_option
@click.option("--jobs", type=Given(int), help="Worker processes.  [default: one for each core, or GPU]")
@click.option("--save-model", metavar="PATH", help="Save the fitted pipeline, for joblib.load; {seed} for several.")
@keep_states_option
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
    executor: str,
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
    prepare(jobs, executor, request["device"], request["results"], dry_run or (request["seeds"] or 1) == 1)
    planned = bench.plan(settings=parse_settings(settings), executor=executor, **request)
    if save_model is not None:
        executors.check_model_path(save_model, len(planned))
    if dry_run:
        print_notes(planned.warnings)
        if as_json:
            print_json(dry_run=True, cells=[step.to_dict() for step in planned.steps])
        else:
            _tables.print_plan(planned, verbose)
        return 0
    problem = None
    records: Sequence[Mapping[str, Any]]
    try:
        records = scheduling.run_plan(planned, jobs, None if quiet else _progress.progress, save_model)
    except StoreError as error:
        if not error.records:
            raise
        records, problem = error.records, error
    print_tracebacks(records)
    for note in _tables.notes(records, planned):
        click.echo(note, err=True)
    if as_json:
        print_json(cells=records)
    else:
        _tables.print_records(records, planned.results, verbose)
    if problem:
        raise problem
    budgets = {step.id: step.budget.steps for step in planned.steps}
    short = [r for r in records if r["final"]["step"] is None or r["final"]["step"] < budgets[r["id"]]]
    complete = len(records) == len(planned.steps)
    return outcome_code({record["status"] for record in short}, complete, stored=bool(planned.results))


@click.command()
@click.argument("id", shell_complete=record_completer)
@source_option
@json_option
@verbose_option
@quiet_option
@debug_option
def rerun(id: str, as_json: bool, verbose: bool, quiet: bool, **request: Any) -> int:
    """Compute the record ID anew and compare: does it come out the same?

    Nothing is stored. Exits with 0 where every number of the curve agrees, with 1 where one does not.
    """
    print_tracebacks([results.open_store(request["results"]).find(id)])
    comparison = bench.rerun(id, display=None if quiet else _progress.progress, **request)
    print_tracebacks([comparison.again])
    if as_json:
        print_json(cells=[comparison.stored, comparison.again], same=comparison.same, difference=comparison.difference)
    else:
        _tables.print_comparison(comparison, verbose)
    return 0 if comparison.same else 1
