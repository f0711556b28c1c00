"""``bench show``: one record on the terminal."""

from typing import Any

import click

from bench import showing
from bench.cli import _tables
from bench.cli._messages import with_options
from bench.cli._options import debug_option, json_option, record_completer, source_option
from bench.cli._print import console, print_json, print_table, print_text
from bench.errors import BenchError, shell_words
from bench.reports import text_chart
from bench.results import percent

WIDEST, HEIGHT = 84, 9
"""Characters of the curve."""
CURVES = {"·": "train_accuracy", "█": "test_accuracy"}


@click.command()
@click.argument("id", shell_complete=record_completer)
@source_option
@click.option(
    "--errors/--no-errors",
    default=None,
    help="Find out where it errs.  [default: if it has a checkpoint, or takes no steps]",
)
@json_option
@debug_option
def show(id: str, as_json: bool, **request: Any) -> int:
    """Show the record ID: settings, curve, milestones, where it errs, and the command that computes it.

    A few digits of the ID do. Where there is no checkpoint, --errors trains the learner anew.
    """
    shown = showing.show(id, say=lambda line: click.echo(line, err=True), **request)
    if as_json:
        document = {name: value for name, value in shown._asdict().items() if name not in ("milestones", "errors")}
        milestones = [one._asdict() for one in shown.milestones]
        print_json(**document, milestones=milestones, errors=shown.errors and shown.errors._asdict())
        return 0
    try:
        _tables.print_records([shown.record], request["results"])
    except BenchError:  # a plugin that is not installed: the notes say so
        print_text(f"{shown.record['label']} · seed {shown.record['spec']['seed']} · {shown.record['id']}", "bold")
        error = shown.record["error"]
        print_text(shown.record["status"] + ("" if error is None else f": {error['type']}: {error['message']}"))
    if shown.changed is not None:
        _print_settings(shown.changed)
    _print_curve(shown.record)
    _print_milestones(shown.milestones)
    _print_errors(shown, request["results"], bool(request["errors"]))
    for note in shown.notes:
        print_text(with_options(note))
    if shown.command is not None:
        print_text("\nThe command that computes it:")
        click.echo(f"  {shown.command}")
    return 0


def _print_settings(changed: dict[str, tuple[Any, Any]]) -> None:
    print_text(
        "\nSettings that differ from their defaults" if changed else "\nAll settings are at their defaults.", "bold"
    )
    if changed:
        print_table(None, ["", "value", "default"], [[name, str(a), str(b)] for name, (a, b) in changed.items()])


def _print_curve(record: Any) -> None:
    curve = record["curve"]
    lines = text_chart(
        curve["step"], {mark: curve[name] for mark, name in CURVES.items()}, min(WIDEST, console().width - 1), HEIGHT
    )
    if lines:
        print_text("\nAccuracy over steps: train ·, test █", "bold")
        for line in lines:
            click.echo(line)


def _print_milestones(milestones: list[Any]) -> None:
    if any(one.first is not None for one in milestones):
        print_text("\nMilestones, in steps", "bold")
        rows = [
            [
                one.part,
                f"{100 * float(one.target):g} %",
                "never" if one.first is None else f"{one.first:,}",
                "–" if one.held is None else f"{one.held:,}{'' if one.confirmed else '?'}",
            ]
            for one in milestones
        ]
        print_table(None, ["pairs", "right", "first", "held from"], rows)


def _print_errors(shown: Any, folder: str, tried: bool) -> None:
    named = [] if folder == "results" else ["--results", folder]
    picture = shell_words("python", "-m", "bench", "plot", "errors", shown.record["id"][:8], *named)
    click.echo()
    if shown.errors is None:
        if shown.record["final"]["step"] is not None and shown.changed is not None and not tried:
            print_text(f"Where it errs: --errors trains it anew to say so, {picture} draws it.")
        return
    wrong, pairs, worst = shown.errors
    most = ", ".join(f"{name} ({n} of {of})" for name, (n, of) in worst.items())
    where = f", most on {most}" if most else ""
    print_text(f"Wrong: {wrong:,} of {pairs:,} held-out pairs ({percent(wrong / pairs)}){where}.")
    print_text(f"  {picture} draws it.")
