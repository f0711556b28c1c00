"""``bench merge`` and ``bench clean``."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from bench.cli._options import debug_option, json_option, quiet_option, results_option
from bench.results import many, size

TOLD_EVERY = 2.0
NAMED = 20


@click.command()
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True, type=click.Path(file_okay=False))
@click.option(
    "--into", required=True, metavar="DIR", type=click.Path(file_okay=False), help="The folder to merge into."
)
@click.option(
    "--checkpoints/--no-checkpoints", default=True, help="Bring along those of copied records.  [default: yes]"
)
@click.option("--dry-run", is_flag=True, help="Show what would be copied.")
@json_option
@quiet_option
@debug_option
def merge(sources: tuple[str, ...], into: str, checkpoints: bool, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Join results folders of several machines.

    A record is copied where DIR has none of its cell, or one of fewer steps, or one that failed; of equal ones DIR's
    stays. Sources are not changed, and after an interruption the same command goes on. The checkpoint of a record that
    is replaced goes with it. Exits with 1 where a record or checkpoint could not be used.
    """
    from bench.cli._print import print_json
    from bench.results import merge_folders as copy

    merged = copy(sources, into, checkpoints=checkpoints, dry_run=dry_run, progress=_progress("records", quiet))
    for note in _notes(merged):
        click.echo(note, err=True)
    if as_json:
        print_json(**merged.to_dict())
    else:
        _show_merged(merged)
    return 1 if merged.broken else 0


@click.command()
@results_option
@click.option("--older-than", type=float, metavar="DAYS", help="Leave files that are younger.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed.")
@json_option
@quiet_option
@debug_option
def clean(results: str, older_than: float | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Remove checkpoints, and temporary files that killed processes left an hour ago or earlier.

    Records stay, and so do files that are not ours. An extension goes on from a checkpoint: after this it trains anew
    from step 0. Checkpoints of cells that a running process has leased stay, and for an hour those of interrupted
    cells. A cell that a process is only about to extend begins anew where its checkpoint is gone, and loses no record;
    beside a sweep, --older-than 1 leaves the checkpoints of the last day.
    """
    from bench.cli._print import print_json
    from bench.results import clean_folder as remove

    cleaned = remove(results, older_than=older_than, dry_run=dry_run, progress=_progress("files", quiet))
    if as_json:
        print_json(**cleaned.to_dict())
    else:
        _show_cleaned(cleaned)
    return 0


def _progress(things: str, quiet: bool) -> Callable[[int, int], None]:
    """A line on stderr every few seconds."""
    told_at = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        if not quiet and done < total and time.monotonic() - told_at > TOLD_EVERY:
            told_at = time.monotonic()
            click.echo(f"{done:,} of {total:,} {things}", err=True)

    return tell


def _notes(merged: Any) -> list[str]:
    """What went wrong, a line each, and one note of all that disagree."""
    said = list(merged.broken)
    if not merged.disagreeing:
        return said
    found = merged.disagreeing
    said.append(f"Note: {many(len(found), 'record')} of the same cell and step with other numbers on the curve:")
    for one in sorted(found, key=lambda d: -d.accuracy)[:NAMED]:
        gap = f"accuracies by up to {100 * one.accuracy:.3g} points" if one.accuracy else "losses alone"
        said.append(f"  {one.id} at step {one.step:,}, {one.folders[0]!r} and {one.folders[1]!r}: {gap}")
    if len(found) > NAMED:
        said.append(f"  and {len(found) - NAMED:,} that differ by no more; --json names all")
    return said


def _show_merged(merged: Any) -> None:
    copied, replaced, kept = (f"{len(ids):,}" for ids in (merged.copied, merged.replaced, merged.kept))
    would = "Would merge into" if merged.dry_run else "Merged into"
    click.echo(f"{would} {merged.into!r}: {copied} copied, {replaced} replaced by ones that go further, {kept} kept.")
    if merged.checkpoints:
        click.echo(f"{many(merged.checkpoints, 'checkpoint')} with them, {size(merged.bytes)}.")
    click.echo(f"{len(merged.disagreeing):,} disagreeing, {len(merged.broken):,} broken.")
    if merged.dry_run:
        click.echo("Nothing was changed.")


def _show_cleaned(cleaned: Any) -> None:
    would = "Would remove" if cleaned.dry_run else "Removed"
    if not cleaned.removed:
        click.echo(f"Nothing to remove from {cleaned.results!r}.")
    else:
        names = {"checkpoint": "checkpoint", "stray checkpoint": "checkpoint", "temporary": "temporary file"}
        more = {"stray checkpoint": " of no record"}
        kinds = {kind: [file for file in cleaned.removed if file.kind == kind] for kind in names}
        parts = [_amount(kinds[k], names[k], more.get(k, "")) for k in kinds if kinds[k]]
        in_all = f" {size(cleaned.bytes)} in all." if len(parts) > 1 else ""
        click.echo(f"{would} from {cleaned.results!r}: {'; '.join(parts)}.{in_all}")
    if cleaned.in_flight:
        stay = _amount(cleaned.in_flight, "checkpoint", "")
        click.echo(f"Stays: {stay}, of cells that are in training or were interrupted within the hour.")
    if cleaned.younger:
        click.echo(f"Stays: {_amount(cleaned.younger, 'file', '')}, too young.")
    if any(file.kind == "checkpoint" for file in cleaned.removed):
        click.echo(
            f"All records stay; one of these that is extended {'would train' if cleaned.dry_run else 'trains'} anew."
        )


def _amount(files: Sequence[Any], name: str, more: str) -> str:
    return f"{many(len(files), name)}{more}, {size(sum(file.bytes for file in files))}"
