"""``bench info``."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

import click

from bench.cli._options import debug_option, json_option, name_completer

GROUPS = {
    "step size": ("lr", "learning_rate*", "warmup", "schedule", "decay_steps"),
    "optimizer": ("optimizer", "betas", "eps", "momentum", "nesterov", "muon_*"),
    "decay, filters and noise": ("weight_decay", "decay", "grokfast*", "orthograd", "*_noise", "dropout"),
    "training": ("loss", "batch_size", "random_state"),
}
"""Parameters by the patterns of their names; what fits none is structure."""
STRUCTURE = "structure"
FEW = 10
"""So many parameters need no groups."""


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
        described.pop("text")
        _print.print_json(**described)
    else:
        _print_description(described)
    return 0


def _describe(name: str) -> dict[str, Any]:
    from bench.errors import RequestError, one_of
    from bench.specs import describe, registry

    wanted = registry.canonical(name)
    kind = next((kind for kind in registry.KINDS if wanted in registry.listings(kind)), None)
    if kind is None:
        known = [n for kind in registry.KINDS for n in registry.listings(kind)]
        raise RequestError(one_of("name", name, known))
    loaded = registry.usable(kind, wanted)
    about = _about_task(loaded) if kind == "task" else _about_class(kind, loaded)
    return {"kind": kind, "name": wanted, "text": describe(loaded), **about}


def _about_task(maker: Any) -> dict[str, Any]:
    from bench.specs import defaults_of

    task = maker()
    defaults = {k: v for k, v in defaults_of(maker).items() if k != "name"}
    return {
        "documentation": task.formula,
        "commutative": task.commutative,
        "classes": task.n_classes,
        "pairs": len(task.pairs_N2),
        "parameters": [{"name": k, "default": v, "searched": None} for k, v in defaults.items()],
    }


def _about_class(kind: str, cls: Any) -> dict[str, Any]:
    from bench.specs import defaults_of, documentation, draws, ranges

    drawn = draws(cls.suggest)
    defaults = {k: v for k, v in defaults_of(cls).items() if k not in getattr(cls, "fit_parameters", ())}
    about: dict[str, Any] = {
        "import": f"from {cls.__module__.partition('.')[0]} import {cls.__name__}",
        "documentation": documentation(cls),
        "version": cls.version,
        "parameters": [
            {"name": k, "default": v, "searched": _searched(k, drawn.get(k, {}))} for k, v in defaults.items()
        ],
        "search_space": ranges(cls.suggest),
        "drawn": drawn,
    }
    if kind == "learner":
        return about | {"devices": list(cls.devices), "precisions": list(cls.precisions)}
    return about | {
        "domain": cls.domain,
        "knows_modulus": cls.knows_modulus,
        "oracle": cls.oracle,
        "default_combine": cls.default_combine,
        "default_sdr": cls().default_sdr,
    }


def _searched(parameter: str, drawn: Mapping[str, str]) -> str | None:
    """The range of a parameter, or of what a search draws to make it."""
    return "; ".join(words if name == parameter else f"{name} {words}" for name, words in drawn.items()) or None


# Printing


def _print_description(described: Mapping[str, Any]) -> None:
    from rich.text import Text

    from bench.cli._print import console

    out = console()
    text, kind = described["text"], described["kind"]
    out.print(Text(f"{kind} {described['name']}", style="bold"))
    is_task = kind == "task"
    for part in [described["documentation"]] if is_task else [text.summary, *text.body]:
        is_item = part.startswith("- ")
        if not is_item:
            click.echo("")
        _print_indented(part, 0, 2 if is_item else 0)
    if text.source and not is_task:
        click.echo("")
        _print_indented(f"Source: {text.source}", 0, 0)
    click.echo("")
    for line in _facts(described):
        _print_indented(line, 0, 2)
    groups = _grouped(described["parameters"])
    if groups:
        click.echo("")
        out.print(Text(f"parameters: --set {kind}.NAME=VALUE", style="bold"))
    for title, parameters in groups:
        if title is not None:
            click.echo("")
        _print_parameters(title, parameters, described)
    _print_drawn(described.get("drawn", {}))


def _print_drawn(drawn: Mapping[str, Mapping[str, str]]) -> None:
    """What a search draws that is no parameter."""
    loose = {parameter: [name for name in names if name not in drawn] for parameter, names in drawn.items()}
    for parameter, names in loose.items():
        if names:
            what = "they are no parameters themselves" if len(names) > 1 else "it is no parameter itself"
            click.echo("")
            _print_indented(f"A search draws {' and '.join(names)} to make {parameter}: {what}.", 0, 0)


def _facts(described: Mapping[str, Any]) -> list[str]:
    """What else there is to know, a line each."""
    words = {True: "yes", False: "no", None: "none"}
    shown = {"kind", "name", "text", "documentation", "parameters", "search_space", "drawn"}
    lines = []
    for key, value in described.items():
        if key in shown:
            continue
        if isinstance(value, list):
            value = ", ".join(value)
        elif isinstance(value, bool) or value is None:
            value = words[value]
        elif isinstance(value, int):
            value = f"{value:,}"
        lines.append(f"{key.replace('_', ' ')}: {value}")
    return lines


def _grouped(parameters: Sequence[Mapping[str, Any]]) -> list[tuple[str | None, list[Mapping[str, Any]]]]:
    """Parameters by group, in the order of the constructor within each."""
    if len(parameters) <= FEW:
        return [(None, list(parameters))] if parameters else []
    groups: dict[str, list[Mapping[str, Any]]] = {name: [] for name in (STRUCTURE, *GROUPS)}
    for parameter in parameters:
        groups[_group(parameter["name"])].append(parameter)
    return [(name, members) for name, members in groups.items() if members]


def _group(name: str) -> str:
    return next((g for g, patterns in GROUPS.items() if any(fnmatch(name, p) for p in patterns)), STRUCTURE)


def _print_parameters(title: str | None, parameters: Sequence[Mapping[str, Any]], described: Mapping[str, Any]) -> None:
    """Side by side where there is room, else what a parameter means below its default and range."""
    from rich.text import Text

    from bench.cli._print import WIDE, console, print_table

    out, kind, meaning = console(), described["kind"], described["text"].parameters
    rows = [
        [_called(kind, p["name"]), _default(described, p), p["searched"] or "", meaning.get(p["name"], "")]
        for p in parameters
    ]
    if out.width >= WIDE:
        columns = ["name", "default", "searched", "meaning"]
        kept = [i for i, column in enumerate(columns) if column == "name" or any(row[i] for row in rows)]
        print_table(title, [columns[i] for i in kept], [[row[i] for i in kept] for row in rows], fold=True)
        return
    if title is not None:
        out.print(Text(title, style="bold"))
    for name, default, searched, means in rows:
        _print_indented(f"{name} = {default}{f' (searched: {searched})' if searched else ''}", 0, 4)
        if means:
            _print_indented(means, 4, 4)


def _called(kind: str, name: str) -> str:
    return "--modulus" if kind == "task" and name == "modulus" else name


def _default(described: Mapping[str, Any], parameter: Mapping[str, Any]) -> str:
    """A default as one would type it; some are the benchmark's to say."""
    if parameter["name"] == "random_state":
        return "by --seed"
    if parameter["name"] == "modulus" and described["kind"] == "encoder":
        return "the task's"
    return _typed(parameter["default"])


def _typed(value: Any) -> str:
    """As after ``--set NAME=``.

    >>> [_typed(value) for value in (None, True, (2.0, 10.0), "relu", 1e-8)]
    ['none', 'true', '2.0,10.0', 'relu', '1e-08']
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_typed, value)) if isinstance(value, tuple | list) else str(value)


def _print_indented(text: str, first: int, rest: int) -> None:
    """A paragraph, wrapped between words; its lines after the first begin further in."""
    from textwrap import wrap

    from bench.cli._print import console

    lines = wrap(
        text,
        console().width,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    click.echo("\n".join(lines))
