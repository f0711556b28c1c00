"""``bench speed``: the fleet beside one model in a Python loop."""

from typing import Any

import click

from bench.cli._options import (
    debug_option,
    device_option,
    json_option,
    name_completer,
    parse_settings,
    quiet_option,
    settings_option,
)


@click.command()
@click.option("--learner", default="transformer", show_default=True, shell_complete=name_completer("learner"))
@click.option("--encoder", default="onehot", show_default=True, shell_complete=name_completer("encoder"))
@settings_option
@device_option
@click.option("--replicas", metavar="R,…", help="Sizes of the fleets.  [default: 1,4,8 on a CPU, 1,8,64,256 on a GPU]")
@click.option("--precision", metavar="P,…", help="Some of float32, tf32, bfloat16.  [default: all that there are]")
@click.option("--seconds", type=float, default=5.0, show_default=True, help="How long each is timed.")
@click.option("--eager", is_flag=True, help="Compile none of the fleets that are timed.")
@click.option("--no-run", is_flag=True, help="Leave out the benchmark run of 2,000 steps at the end: minutes on a CPU.")
@json_option
@quiet_option
@debug_option
def speed(
    settings: tuple[str, ...],
    replicas: str | None,
    precision: str | None,
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
    from bench.cli._print import print_json
    from bench.recipes.measurements.speed import measure

    found = measure(
        settings=parse_settings(settings),
        replicas=_sizes(replicas),
        precisions=None if precision is None else [p.strip() for p in precision.split(",")],
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


def _sizes(text: str | None) -> list[int] | None:
    from bench.errors import RequestError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise RequestError(f"--replicas takes integers ≥ 1 with commas, got {text!r}.")
    return [int(part) for part in parts]


def _range(of: tuple[float, float], digits: int) -> str:
    lowest, highest = of
    return f"{lowest:,.{digits}f}–{highest:,.{digits}f}"


def _show(found: Any) -> None:
    from bench.cli._print import print_table

    click.echo(f"{found.learner}, batches of {found.batch} · {found.device} ({found.processor})")
    click.echo("")
    usual, lean = (_range(found.script_ranges[name], 1) for name in ("usual", "lean"))
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
            _range(row.window_range, 0),
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
    click.echo("")
    rates = ", ".join(f"{rate / 1e12:,.2f} TFLOP/s in {name}" for name, rate in found.product_flops_per_second.items())
    click.echo("model steps/s: the median of several windows of time; scripts were timed before and after the fleets.")
    click.echo(f"of products: share of the rate of large matrix products, {rates}.")
    if found.run is None:
        return
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in found.run["shares"].items())
    seconds = found.run["wall_seconds"]
    click.echo(f"A run of {found.run['replicas']} seeds, {found.run['steps']:,} steps, {seconds:.0f} s: {shares}.")
