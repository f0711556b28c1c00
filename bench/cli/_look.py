"""``bench list`` and ``bench doctor``."""

import click

from bench.cli._options import debug_option, json_option, results_option


@click.command("list")
@json_option
@debug_option
def list_names(as_json: bool) -> int:
    """All encoders, learners and tasks by name."""
    from bench.cli import _print
    from bench.specs import KINDS, examined

    found = {kind: examined(kind) for kind in KINDS}
    if as_json:
        entry = ("name", "summary", "unavailable")
        _print.print_json(
            **{f"{kind}s": [{k: getattr(item, k) for k in entry} for item in found[kind].values()] for kind in KINDS}
        )
        return 0
    for kind in KINDS:
        rows = [
            [item.name, f"unavailable: {item.unavailable}" if item.unavailable else item.summary]
            for item in found[kind].values()
        ]
        _print.print_table(f"{kind}s", ["", ""], rows, fold=True)
        click.echo()
    click.echo("More about one: python -m bench info NAME")
    return 0


@click.command()
@results_option
@json_option
@debug_option
def doctor(results: str, as_json: bool) -> int:
    """Check this installation: versions, device, threads, plugins, write access."""
    from bench.cli import _print

    checks = _examine(results)
    if as_json:
        _print.print_json(checks=[dict(zip(("check", "found", "ok"), check, strict=True)) for check in checks])
    else:
        rows = [["ok" if ok else "PROBLEM", check, found] for check, found, ok in checks]
        _print.print_table(None, ["", "check", "found"], rows, fold=True)
    return 0 if all(ok for _, _, ok in checks) else 1


def _examine(results: str) -> list[tuple[str, str, bool]]:
    import os

    import joblib

    from bench.errors import StoreError
    from bench.results import Store, environment
    from bench.specs import registry

    checks = [(package, found or "missing", bool(found)) for package, found in environment.versions().items()]
    checks.append(("processor", f"{environment.processor()}, {joblib.cpu_count()} cores", True))
    limits = [
        f"{v}={os.environ[v]}" for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT") if v in os.environ
    ]
    checks.append(("thread limits", ", ".join(limits) or "none set; one thread a cell, cells over the cores", True))
    checks.append(("accelerator", *_accelerator()))
    commit, dirty = environment.source_state()
    state = "not in a repository" if commit is None else f"{commit[:12]}{', with changes' if dirty else ''}"
    checks.append(("source", state, True))
    found = [item for kind in registry.KINDS for item in registry.examined(kind, every=True).values()]
    unavailable = [item for item in found if item.unavailable]
    named = "; ".join(f"{i.kind} {i.name}: {i.unavailable}" for i in unavailable)
    checks.append(("plugins", named or "all available", not unavailable))
    try:
        existed = os.path.isdir(results)
        Store(results, create=True)
        if not existed:
            os.rmdir(results)
        checks.append(("results folder", f"{results!r} can be written to", True))
    except StoreError as error:
        checks.append(("results folder", str(error), False))
    return checks


def _accelerator() -> tuple[str, bool]:
    try:
        import torch
    except ImportError as error:
        return f"torch cannot be imported: {error}", False
    if not torch.cuda.is_available():
        return "none: everything trains on the CPU", True
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join(names), True
