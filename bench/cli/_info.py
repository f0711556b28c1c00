"""``bench info``."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from textwrap import wrap
from typing import Any, Literal

import click

from bench import specs
from bench.cli._options import debug_option, json_option, name_completer, word_option
from bench.cli._print import WIDE, console, print_json, print_table, print_text
from bench.errors import RequestError, one_of

GROUPS = {
    "step size": ("learning_rate*",),
    "training": ("loss", "batch_size", "dropout", "random_state"),
}
"""Patterns for the names of the parameters of each group; parameters that match none belong to `STRUCTURE`."""
KINDS: tuple[Literal["encoder", "learner", "optimizer", "task"], ...] = (
    *("encoder", "learner"),
    *("optimizer", "task"),
)  # as in specs.KINDS, which help need not import
STRUCTURE = "structure"
PLACES = {
    "filter": "in front of the rule: gradients in, gradients out",
    "rule": "the one rule of an optimizer: gradients in, updates out",
    "constraint": "behind the rule: updates in, updates out",
}
"""Where a part of an optimizer stands, by its kind."""
FEW = 10
"""Up to this number, parameters are printed without groups."""


@click.command()
@click.argument("name", shell_complete=name_completer(*KINDS))
@word_option("--kind", KINDS, "What it is, where several things have the name.")
@json_option
@debug_option
def info(name: str, kind: str | None, as_json: bool) -> int:
    """What NAME is: its formula, source, parameters with defaults and ranges."""
    if kind is not None and kind not in KINDS:
        raise RequestError(one_of("--kind", kind, KINDS))
    registry, wanted = specs.registry, specs.canonical(name)
    known = {one: specs.listings(one) for one in KINDS if kind in (None, one)}
    found = [one for one, listings in known.items() if wanted in listings]
    if not found:
        raise RequestError(one_of(kind or "name", name, sorted({name for names in known.values() for name in names})))
    kind, *others = found
    for other in others:
        click.echo(
            f"Note: there is {'an' if other == 'encoder' else 'a'} {other} of this name, too: --kind {other} shows it.",
            err=True,
        )
    plugin = registry.load(kind, wanted)
    about = _about_task(plugin) if kind == "task" else _about_class(kind, plugin)
    described = {"kind": kind, "name": wanted, **about}
    if as_json:
        print_json(**described)
    else:
        _print_description(described, specs.describe(plugin))
    return 0


def _about_task(maker: Any) -> dict[str, Any]:
    task = maker()
    return {
        "documentation": task.formula,
        "commutative": task.symmetric,
        "classes": task.n_classes,
        "pairs": len(task.operands_NK),
        "parameters": [
            {"name": k, "default": v, "searched": None} for k, v in specs.defaults_of(maker).items() if k != "name"
        ],
    }


def _about_class(kind: str, cls: Any) -> dict[str, Any]:
    suggest = cls().suggest if kind == "optimizer" else cls.suggest
    drawn = specs.described_draws(suggest)
    parameters = specs.settable(kind, cls) | (_inner(cls()) if kind == "optimizer" else {})
    about: dict[str, Any] = {
        "import": f"from {_package(kind, cls)} import {cls.__name__}",
        "documentation": specs.documentation(cls),
        "version": cls.version,
        "parameters": [{"name": k, "default": v, "searched": _searched(k, drawn)} for k, v in parameters.items()],
        "search_space": specs.described_ranges(suggest),
        "drawn": drawn,
    }
    if kind == "optimizer":
        return about | {"place": PLACES[cls.kind]}
    if kind == "learner":
        own = specs.own_optimizer(cls)
        chosen = {"optimizer": [repr(part) for part in own.values()]} if own else {}
        return about | {**chosen, "devices": list(cls.devices), "precisions": list(cls.precisions)}
    return about | {
        "domain": cls.domain,
        "knows_modulus": cls.knows_modulus,
        "oracle": cls.oracle,
        "default_combine": cls.default_combine,
        "default_sdr": cls().default_sdr,
    }


def _package(kind: str, cls: Any) -> str:
    """The package that a class is imported from."""
    package: str = cls.__module__.partition(".")[0]
    return "learners.optim" if kind == "optimizer" and package == "learners" else package


def _inner(part: Any) -> dict[str, str]:
    """The names of the parts inside a part of an optimizer, by their parameters."""
    return {parameter: specs.registry.name_of(inner) for parameter, inner in part.inner().items()}


def _searched(parameter: str, drawn: Mapping[str, Mapping[str, str]]) -> str | None:
    """The range of a parameter, or the ranges of the numbers from which a search computes it."""
    ranges = dict(drawn.get(parameter, {}))
    for one, words in drawn.items():  # of a part inside this one
        inside = one.removeprefix(f"{parameter}.")
        ranges |= {f"{parameter}.{inside}": words[one]} if inside != one else {}
    return "; ".join(words if name == parameter else f"{name} {words}" for name, words in ranges.items()) or None


# Printing


def _print_description(described: Mapping[str, Any], text: Any) -> None:
    """Print the documentation, the facts and the parameters.

    :param text: the docstring by its parts, a `bench.specs.docstrings.Described`.
    """
    kind, is_task = described["kind"], described["kind"] == "task"
    print_text(f"{kind} {described['name']}", "bold")
    for part in [described["documentation"]] if is_task else [text.summary, *text.body]:
        is_item = part.startswith("- ")
        if not is_item:
            click.echo("")
        _print_indented(part, 0, 2 if is_item else 0)
    if text.source and not is_task:
        click.echo("")
        _print_indented(f"Source: {text.source}", 0, 0)
    click.echo("")
    for key, value in described.items():
        if key not in ("kind", "name", "documentation", "parameters", "search_space", "drawn"):
            _print_indented(f"{key.replace('_', ' ')}: {_fact(value)}", 0, 2)
    if described["parameters"]:
        click.echo("")
        owner = described["name"] if kind == "optimizer" else kind
        print_text(f"parameters: --set {owner}.NAME=VALUE", "bold")
    one_list = [(None, described["parameters"])]
    for title, parameters in one_list if kind == "optimizer" else _grouped(described["parameters"]):
        if title is not None:
            click.echo("")
        _print_parameters(title, parameters, described, text.parameters)
    _print_drawn(described.get("drawn", {}))


def _print_drawn(drawn: Mapping[str, Mapping[str, str]]) -> None:
    """Name the numbers that a search draws and that are no parameters themselves."""
    for parameter, ranges in drawn.items():
        if names := [name for name in ranges if name not in drawn]:
            what = "they are no parameters themselves" if len(names) > 1 else "it is no parameter itself"
            click.echo("")
            _print_indented(f"A search draws {' and '.join(names)} to make {parameter}: {what}.", 0, 0)


def _fact(value: Any) -> str:
    """A value in words.

    >>> [_fact(value) for value in (["cpu", "cuda"], True, None, 9409, "real")]
    ['cpu, cuda', 'yes', 'none', '9,409', 'real']
    """
    if isinstance(value, list):
        return ", ".join(value)
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:,}" if isinstance(value, int) else value


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


def _print_parameters(
    title: str | None,
    parameters: Sequence[Mapping[str, Any]],
    described: Mapping[str, Any],
    meanings: Mapping[str, str],
) -> None:
    """As a table on a wide terminal; on a narrow one with the meaning of each parameter below its default and range."""
    rows = [
        [*_default(described["kind"], p["name"], p["default"]), p["searched"] or "", meanings.get(p["name"], "")]
        for p in parameters
    ]
    if console().width >= WIDE:
        columns = ["name", "default", "searched", "meaning"]
        kept = [i for i, column in enumerate(columns) if column == "name" or any(row[i] for row in rows)]
        print_table(title, [columns[i] for i in kept], [[row[i] for i in kept] for row in rows], fold=True)
        return
    if title is not None:
        print_text(title, "bold")
    for name, default, searched, meaning in rows:
        _print_indented(f"{name} = {default}{f' (searched: {searched})' if searched else ''}", 0, 4)
        _print_indented(meaning, 4, 4)


def _default(kind: str, name: str, default: Any) -> tuple[str, str]:
    """The name and the default of a parameter as one types them; the benchmark itself sets two of them."""
    if name == "random_state":
        return name, "by --seed"
    if name == "modulus" and kind == "encoder":
        return name, "the task's"
    return "--modulus" if name == "modulus" and kind == "task" else name, _typed(default)


def _typed(value: Any) -> str:
    """A value as one types it after ``--set NAME=``.

    >>> [_typed(value) for value in (None, True, (2.0, 10.0), "relu", 1e-8)]
    ['none', 'true', '2.0,10.0', 'relu', '1e-08']
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_typed, value)) if isinstance(value, tuple | list) else str(value)


def _print_indented(text: str, first: int, rest: int) -> None:
    """Print a paragraph, wrapped between words.

    :param first: the indentation of its first line.
    :param rest: that of all other lines.
    """
    indents = {"initial_indent": " " * first, "subsequent_indent": " " * rest}
    for line in wrap(text, console().width, break_long_words=False, break_on_hyphens=False, **indents):  # type: ignore[arg-type]
        click.echo(line)
