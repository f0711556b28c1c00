"""``bench run`` and ``bench rerun``."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from bench.cli._options import (
    Number,
    debug_option,
    device_option,
    json_option,
    name_completer,
    parse_settings,
    quiet_option,
    record_completer,
    results_option,
    settings_option,
    verbose_option,
    words,
)

__all__ = ["rerun", "run"]


@click.command()
@click.option("--encoder", required=True, shell_complete=name_completer("encoder"), help="How operands are written.")
@click.option("--learner", required=True, shell_complete=name_completer("learner"), help="What is trained.")
@settings_option
@click.option(
    "--combine",
    metavar="concat|sum|product",
    shell_complete=words("concat", "sum", "product"),
    help="How operand codes are joined.  [default: the encoder's]",
)
@click.option("--sdr", metavar="K|off", help="Keep the K largest features of each slot.  [default: the encoder's]")
@click.option("--task", default="add", show_default=True, shell_complete=name_completer("task"), help="What is asked.")
@click.option("--modulus", type=Number(int, swept=True), help="p.  [default: 97]")
@click.option(
    "--pairs",
    metavar="PROTOCOL",
    shell_complete=words("ordered", "grouped", "unordered", "distinct"),
    help="ordered, grouped, unordered or distinct.  [default: unordered where the task commutes, grouped where other "
    "twins (a, b) and (b, a) have one answer, else ordered]",
)
@click.option(
    "--train-fraction",
    type=Number(float, share=True, swept=True),
    default=0.5,
    show_default=True,
    help="Share of the pairs that train.",
)
@click.option(
    "--validation-fraction",
    type=Number(float, share=True),
    help="Share of the pairs that validate.  [default: 0; 0.1 with --stop-when-solved]",
)
@click.option("--seeds", type=Number(int), help="Seeds 0 … N − 1.  [default: 1]")
@click.option("--seed", type=Number(int), help="This one seed instead.")
@click.option("--split-seed", type=Number(int), help="Fix the split; encoder and learner still follow the seed.")
@click.option("--steps", type=Number(int), help="Budget in optimizer updates.  [default: the learner's]")
@click.option("--epochs", type=Number(int), help="Budget in passes over the training pairs, instead.")
@click.option("--seconds", type=Number(float), help="Safety limit for each cell.")
@click.option("--stop-when-solved", is_flag=True, help="Stop once 99 % of the validation pairs have held.")
@device_option
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    shell_complete=words("float32", "tf32", "bfloat16"),
    metavar="float32|tf32|bfloat16",
    help="Arithmetic of the training; tf32 on GPUs.",
)
@click.option("--jobs", type=Number(int), help="Worker processes.  [default: one for each core, or GPU]")
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
    sdr: str | None,
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
    from bench.results.store import check_folder
    from bench.scheduling import run as api
    from bench.scheduling.planner import plan

    check_folder(request["results"])
    request |= {"settings": parse_settings(settings), "sdr": _parse_sdr(sdr)}
    planned = plan(**request)
    api.check_run(planned, save_model, jobs)
    if dry_run:
        return _show_plan(planned, as_json, verbose)
    problem = None
    records: Sequence[Mapping[str, Any]]
    try:
        records = api.execute(planned, save_model, jobs, None if quiet else _display())
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
    from bench.results.store import Store
    from bench.scheduling.rerun import rerun as compare

    print_tracebacks([Store(results).find(id)])
    comparison = compare(id, results=results, display=None if quiet else _display())
    print_tracebacks([comparison.again])
    if as_json:
        print_json(cells=[comparison.stored, comparison.again], same=comparison.same, difference=comparison.difference)
    else:
        _tables.print_comparison(comparison, verbose)
    return 0 if comparison.same else 1


def _parse_sdr(sdr: str | None) -> int | str | None:
    from bench.errors import RequestError
    from bench.specs.hints import for_several

    if sdr is None or sdr == "off":
        return sdr
    try:
        return int(sdr)
    except ValueError:
        if several := for_several("--sdr", sdr):
            raise RequestError(several) from None
        raise RequestError(f"--sdr takes a number of features or 'off', got {sdr!r}.") from None


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
