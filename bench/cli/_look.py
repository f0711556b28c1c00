"""``bench list``, ``bench info`` and ``bench doctor``."""

from typing import Any

import click

from bench.cli._options import debug_option, json_option, name_completer, results_option

__all__ = ["doctor", "info", "list_names"]


@click.command("list")
@json_option
@debug_option
def list_names(as_json: bool) -> int:
    """All encoders, learners and tasks by name."""
    from bench.cli import _print
    from bench.registry import KINDS, examined

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


def _complete_any(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    kinds = ("encoder", "learner", "task")
    return [item for kind in kinds for item in name_completer(kind)(context, parameter, incomplete)]


@click.command()
@click.argument("name", shell_complete=_complete_any)
@json_option
@debug_option
def info(name: str, as_json: bool) -> int:
    """What NAME is: its formula, source, parameters with defaults and ranges."""
    from bench.cli import _print

    described = _describe(name)
    if as_json:
        _print.print_json(**described)
    else:
        _print_description(described)
    return 0


def _describe(name: str) -> dict[str, Any]:
    from bench import registry
    from bench.errors import RequestError, one_of
    from bench.space import ranges
    from bench.spec import documentation, parameters

    wanted = registry.canonical(name)
    kinds = [kind for kind in registry.KINDS if wanted in registry.listings(kind)]
    if not kinds:
        known = [n for kind in registry.KINDS for n in registry.listings(kind)]
        raise RequestError(one_of("name", name, known))
    kind = kinds[0]
    loaded = registry.usable(kind, wanted)
    described: dict[str, Any] = {"kind": kind, "name": wanted}
    if kind == "task":
        task = loaded()
        described |= {
            "documentation": task.formula,
            "commutative": task.commutative,
            "classes": task.n_classes,
            "pairs": len(task.pairs_N2),
        }
        defaults = {k: v for k, v in parameters(loaded).items() if k != "name"}
        described["parameters"] = [{"name": k, "default": v, "searched": None} for k, v in defaults.items()]
        return described
    searched = ranges(loaded.suggest)
    defaults = {k: v for k, v in parameters(loaded).items() if k not in getattr(loaded, "fit_parameters", ())}
    described["import"] = f"from {loaded.__module__.partition('.')[0]} import {loaded.__name__}"
    described |= {"documentation": documentation(loaded), "version": loaded.version}
    described["parameters"] = [{"name": k, "default": v, "searched": searched.get(k)} for k, v in defaults.items()]
    described["search_space"] = searched
    if kind == "encoder":
        described |= {
            "domain": loaded.domain,
            "knows_modulus": loaded.knows_modulus,
            "oracle": loaded.oracle,
            "default_combine": loaded.default_combine,
            "default_sdr": loaded().default_sdr,
        }
    else:
        described |= {"devices": list(loaded.devices), "precisions": list(loaded.precisions)}
    return described


def _print_description(described: dict[str, Any]) -> None:
    from rich.text import Text

    from bench.cli import _print

    out = _print.console()
    kind, name = described["kind"], described["name"]
    out.print(Text(f"{kind} {name}", style="bold"))
    out.print(Text(described["documentation"]))
    out.print()
    shown = {"kind", "name", "documentation", "parameters", "search_space"}
    for key, value in described.items():
        if key not in shown:
            value = (
                {True: "yes", False: "no", None: "none"}.get(value, value)
                if not isinstance(value, int | list) or isinstance(value, bool)
                else value
            )
            out.print(Text(f"{key.replace('_', ' ')}: {', '.join(value) if isinstance(value, list) else value}"))
    owner = "" if kind == "task" else f"{kind}."
    rows = [[f"{owner or 'task.'}{p['name']}", repr(p["default"])] for p in described["parameters"]]
    if kind == "task":
        rows = [
            ["--modulus" if p["name"] == "modulus" else f"task.{p['name']}", repr(p["default"])]
            for p in described["parameters"]
        ]
    if rows:
        out.print()
        _print.print_table("parameters (--set)", ["name", "default"], rows)
    if described.get("search_space"):
        out.print()
        _print.print_table(
            "search space", ["name", "range"], [list(item) for item in described["search_space"].items()]
        )


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

    from bench import environment, registry
    from bench.errors import StoreError
    from bench.store import Store

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
