"""``bench speed``: the fleet beside one model in a Python loop."""

from typing import Any

import click

from bench.cli._options import (
    Given,
    debug_option,
    device_option,
    json_option,
    options_of,
    parse_settings,
    quiet_option,
    settings_option,
)
from bench.cli._print import print_json, print_table
from bench.specs import Request


def _positive(text: str) -> int:
    """The value of ``--replicas``."""
    if int(text) < 1:
        raise ValueError
    return int(text)


@click.command()
@options_of(
    Request,
    ("learner", "encoder"),
    learner={"default": "transformer", "show_default": True, "required": False},
    encoder={"default": "onehot", "show_default": True, "required": False},
)
@settings_option
@device_option
@click.option(
    "--replicas",
    type=Given(_positive, "an integer ≥ 1", several=True),
    metavar="R,…",
    help="Sizes of the fleets.  [default: 1,4,8 on a CPU, 1,8,64,256 on a GPU]",
)
@click.option(
    "precisions",
    "--precision",
    type=Given(str, several=True),
    metavar="P,…",
    help="Some of float32, tf32, bfloat16.  [default: all that there are]",
)
@click.option("--seconds", type=float, default=5.0, show_default=True, help="How long each is timed.")
@click.option("--eager", is_flag=True, help="Compile none of the fleets that are timed.")
@click.option("--no-run", is_flag=True, help="Leave out the benchmark run of 2,000 steps at the end: minutes on a CPU.")
@json_option
@quiet_option
@debug_option
def speed(
    settings: tuple[str, ...],
    eager: bool,
    no_run: bool,
    as_json: bool,
    quiet: bool,
    **request: Any,
) -> int:
    """Measure how fast fleets train here, beside the usual script and a lean one, in one run.

    The usual script has one model, torch.optim and a Python loop, reads loss and accuracy in every step and evaluates
    the held-out pairs every epoch; the lean one only trains.
    """
    from bench.recipes.measurements.speed import measure

    found = measure(
        settings=parse_settings(settings),
        compile=not eager,
        whole_run=not no_run,
        say=(lambda line: None) if quiet else (lambda line: click.echo(line, err=True)),
        **request,
    )
    if as_json:
        print_json(**found.to_dict())
    else:
        _show(found)
    return 0


def _show(found: Any) -> None:
    click.echo(f"{found.learner}, batches of {found.batch} · {found.device} ({found.processor})\n")
    usual, lean = ("{:,.1f}–{:,.1f}".format(*found.script_ranges[name]) for name in ("usual", "lean"))
    rows = [
        ["usual script", "float32", "", f"{found.usual_script_steps_per_second:,.1f}", usual, "1.0 ×", "", "", "", ""],
        ["lean script", "float32", "", f"{found.lean_script_steps_per_second:,.1f}", lean, "", "1.0 ×", "", "", ""],
    ]
    rows += [
        [
            f"fleet of {row.replicas}",
            row.precision,
            "yes" if row.compiled else "no",
            f"{row.model_steps_per_second:,.0f}",
            "{:,.0f}–{:,.0f}".format(*row.window_range),
            f"{row.ratio:,.1f} ×",
            f"{row.lean_ratio:,.1f} ×",
            f"{100 * row.of_product_rate:.0f} %",
            f"{row.compile_seconds:.0f} s",
            f"{row.peak_memory_bytes / 2**30:.2f}" if row.peak_memory_bytes else "–",
        ]
        for row in found.rows
    ]
    columns = ["", "precision", "compiled", "model steps/s", "lowest–highest", "to usual", "to lean"]
    print_table(None, [*columns, "of products", "compiling", "GiB"], rows)
    rates = ", ".join(f"{rate / 1e12:,.2f} TFLOP/s in {name}" for name, rate in found.product_flops_per_second.items())
    click.echo(
        "\nmodel steps/s: the median of several windows of time; scripts were timed before and after the fleets."
    )
    click.echo(f"of products: share of the rate of large matrix products, {rates}.")
    if run := found.run:
        shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in run["shares"].items())
        click.echo(f"A run of {run['replicas']} seeds, {run['steps']:,} steps, {run['wall_seconds']:.0f} s: {shares}.")
