"""``bench merge``, ``bench pack`` and ``bench clean``."""

from collections.abc import Sequence
from typing import Any

import click

from bench import results
from bench.cli._options import debug_option, json_option, quiet_option, results_option, word_option
from bench.cli._print import named_broken, notes_on, print_json, progress_lines
from bench.errors import shell_words
from bench.results import many, size

CURVES = ("all", "accuracy", "none")
KINDS = {
    "checkpoint": "checkpoint",
    "stray checkpoint": "checkpoint",
    "state": "kept state",
    "temporary": "temporary file",
}
"""The kinds of removed files, and how each is called."""


@click.command()
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True, type=click.Path())
@click.option("--into", required=True, metavar="DIR", type=click.Path(), help="The folder to merge into.")
@click.option(
    "--checkpoints/--no-checkpoints", default=True, help="Bring along those of copied records.  [default: yes]"
)
@click.option("--dry-run", is_flag=True, help="Show what would be copied.")
@json_option
@quiet_option
@debug_option
def merge(sources: tuple[str, ...], into: str, checkpoints: bool, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Join results folders of several machines, or make a folder of a pack.

    A record is copied where DIR has none of its cell, or one of fewer steps, or one that failed; of equal ones
    DIR's stays. Sources are not changed, and after an interruption the same command goes on. The checkpoint of a
    record that is replaced goes with it, and so do its kept states; those of the sources stay behind. Exits with 1
    where a record or checkpoint could not be used.
    """
    progress = progress_lines("records", quiet)
    merged = results.merge_folders(sources, into, checkpoints=checkpoints, dry_run=dry_run, progress=progress)
    for note in notes_on(merged):
        click.echo(note, err=True)
    if as_json:
        print_json(**merged.to_dict())
    else:
        _show_merged(merged)
    return 1 if merged.broken else 0


@click.command()
@click.argument("sources", metavar="RESULTS…", nargs=-1, required=True, type=click.Path())
@click.option(
    "-o", "--output", required=True, metavar="FILE", type=click.Path(), help="The file, usually named ….pack."
)
@word_option(
    "--curves",
    CURVES,
    "How much of each curve: accuracy leaves out losses, norms and all else that no ranking reads, which is most of a "
    "pack; none leaves a table that cannot be ranked.",
    default="all",
)
@click.option("--force", is_flag=True, help="Replace the file where there is one.")
@json_option
@quiet_option
@debug_option
def pack(sources: tuple[str, ...], as_json: bool, quiet: bool, **request: Any) -> int:
    """Pack the records of results folders into one file, to send, publish or commit.

    rank, plot, report, show, rerun and merge read it like a folder; other tools read the tables in it: a zip
    archive of Parquet and JSON. Checkpoints stay behind. Of several records of a cell the one of more steps is
    packed. Needs pyarrow. Exits with 1 where a record could not be used.
    """
    packed = results.pack(sources, **request, progress=progress_lines("records", quiet))
    for note in notes_on(packed):
        click.echo(note, err=True)
    if as_json:
        print_json(**packed.to_dict())
    else:
        _show_packed(packed)
    return 1 if packed.broken else 0


@click.command()
@results_option
@click.option("--older-than", type=float, metavar="DAYS", help="Leave files that are younger.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed.")
@json_option
@quiet_option
@debug_option
def clean(as_json: bool, quiet: bool, **request: Any) -> int:
    """Remove checkpoints, kept states, and temporary files that killed processes left an hour ago or earlier.

    Records stay, and so do files that are not ours. An extension goes on from a checkpoint: after this it trains anew
    from step 0. Checkpoints of cells that a running process has leased stay, and for an hour those of interrupted
    cells. A cell that a process is only about to extend begins anew where its checkpoint is gone, and loses no record;
    beside a sweep, --older-than 1 leaves the checkpoints of the last day.
    """
    cleaned = results.clean_folder(**request, progress=progress_lines("files", quiet))
    for line in named_broken(cleaned.broken):
        click.echo(line, err=True)
    if as_json:
        print_json(**cleaned.to_dict())
    else:
        _show_cleaned(cleaned)
    return 0


def _show_merged(merged: Any) -> None:
    copied, replaced, kept = (f"{len(ids):,}" for ids in (merged.copied, merged.replaced, merged.kept))
    start = "Would merge into" if merged.dry_run else "Merged into"
    click.echo(f"{start} {merged.into!r}: {copied} copied, {replaced} replaced by ones that go further, {kept} kept.")
    if merged.checkpoints:
        click.echo(f"{many(merged.checkpoints, 'checkpoint')} with them, {size(merged.bytes)}.")
    click.echo(f"{len(merged.disagreeing):,} disagreeing, {len(merged.broken):,} broken.")
    if merged.dry_run:
        click.echo("Nothing was changed.")


def _show_packed(packed: Any) -> None:
    curves = {"all": "", "accuracy": ", accuracies alone", "none": ", without curves"}[packed.curves]
    click.echo(
        f"Packed {many(packed.records, 'record')} into {packed.output!r}: {size(packed.bytes)}, "
        f"{many(packed.evaluations, 'evaluation')}{curves}."
    )
    if packed.disagreeing or packed.broken:
        click.echo(f"{len(packed.disagreeing):,} disagreeing, {len(packed.broken):,} broken and left out.")
    if packed.curves != "none":
        click.echo(f"Ranked like a folder: python -m bench rank --results {shell_words(packed.output)}")


def _show_cleaned(cleaned: Any) -> None:
    removed = {kind: [file for file in cleaned.removed if file.kind == kind] for kind in KINDS}
    if cleaned.removed:
        parts = [_amount(removed[k], KINDS[k], " of no record" * k.startswith("stray")) for k in KINDS if removed[k]]
        in_all = f" {size(cleaned.bytes)} in all." if len(parts) > 1 else ""
        start = "Would remove" if cleaned.dry_run else "Removed"
        click.echo(f"{start} from {cleaned.results!r}: {'; '.join(parts)}.{in_all}")
    else:
        click.echo(f"Nothing to remove from {cleaned.results!r}.")
    if cleaned.in_flight:
        stay = _amount(cleaned.in_flight, "checkpoint")
        click.echo(f"Stays: {stay}, of cells that are in training or were interrupted within the hour.")
    if cleaned.younger:
        click.echo(f"Stays: {_amount(cleaned.younger, 'file')}, too young.")
    if removed["checkpoint"]:
        trains = "would train" if cleaned.dry_run else "trains"
        click.echo(f"All records stay; one of these that is extended {trains} anew.")


def _amount(files: Sequence[Any], name: str, more: str = "") -> str:
    """As "3 checkpoints of no record, 1.2 MB"."""
    return f"{many(len(files), name)}{more}, {size(sum(file.bytes for file in files))}"
