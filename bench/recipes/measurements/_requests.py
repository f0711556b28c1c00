"""Random command lines, made of the declarations of all commands, and random grids; valid ones and others."""

from collections.abc import Sequence
from typing import Any

import click
import yaml
from hypothesis import strategies as st

from bench.recipes.measurements._workplace import command_line
from bench.reports import picture_kinds
from bench.specs import KINDS, listings, parts_of, registry, settable, settable_of

MOST_OPTIONS = 5
COMMANDS: dict[str, click.Command] = command_line("cli").commands


INTEGERS = [
    "0",
    "1",
    "2",
    "3",
    "5",
    "7",
    "-1",
    "1e1",
    "2.5",
    "1,000",
    str(2**31),
    str(2**53),
    "9" * 30,
    "９",
    "0x10",
    "1_0",
]
NUMBERS = ["0", "0.5", "0.2", "0.99", "1", "-0.5", "50%", "1e-300", "1e400", "nan", "-inf", "٣", "1e3"]
ODD = [
    *(
        "",
        " ",
        ",",
        "=",
        ".",
        "..",
        "-",
        "--",
        "all",
        "none",
        "off",
        "true",
        "[red]",
        "[/]",
        "a,b",
        "é",
        "日本",
        "🙂",
        "%s",
    ),
    *(
        "{seed}",
        "{}",
        "`steps`",
        "a\nb",
        "\t",
        "\x1b[31m",
        "~",
        "$HOME",
        "x" * 300,
        "[[1, [2]], {}]",
        "{1: 2}",
        "b'x'",
        "1j",
    ),
    *("'", '"', "\\", "(" * 150, "1..2", "2..1:log", "nan..inf", "()", "...", "None", "__class__", "{1, 2}", "-0.0"),
]
PATHS = [
    "results",
    "missing",
    "missing/deeper",
    "grid.yaml",
    "some.pack",
    "junk.pack",
    "",
    ".",
    "/dev/null",
    "/proc/x",
    "x" * 300,
]
FILES = [
    "new.png",
    "new.svg",
    "new.html",
    "new.md",
    "new.pack",
    "new.csv",
    "new.parquet",
    "new",
    "results",
    "missing/new.png",
    "",
    "some.pack",
    "a{seed}.joblib",
]
STORAGES = [
    "journal:///results/studies.journal",
    "journal:///missing/x",
    "sqlite:///x.db",
    "sqlite://",
    "x",
    "mysql://h/x",
    "://",
]
odd = st.one_of(
    st.sampled_from(ODD), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
)
integers, numbers = st.sampled_from(INTEGERS), st.sampled_from(NUMBERS)
values = st.one_of(integers, numbers, odd)
NAMED = {"encoder", "learner", "optimizer", "task"}
CHEAP = {
    "encoder": ["onehot", "cycle", "phasor", "scalar"],
    "learner": ["ridge", "knn", "mlp", "quadratic"],
    "task": ["add", "s5"],
}
BASE = {
    "run": [
        ["--encoder", "onehot", "--learner", "mlp", "--modulus", "5", "--steps", "4"],
        ["--encoder", "cycle", "--learner", "ridge", "--modulus", "7"],
    ],
    "sweep": [["grid.yaml"], ["--encoder", "onehot,phasor", "--learner", "ridge,mlp", "--modulus", "5"]],
    "tune": [["--encoder", "onehot", "--learner", "quadratic", "--modulus", "5", "--trials", "2", "--fresh", "1"]],
    "plot": [["curves"], ["history"], ["league"], ["heatmap"]],
    "merge": [["results", "--into", "new"], ["some.pack", "--into", "results"]],
    "pack": [["results", "-o", "new.pack"]],
    "export": [["-o", "new.csv"], ["--results", "some.pack", "-o", "new.parquet"], ["--tensorboard", "new"]],
    "publish": [["new"], ["new", "--results", "some.pack"]],
    "reproduce": [["kernel", "--results", "results"]],
    "new": [["encoder", "my-idea"], ["task", "my-task"]],
    "info": [["cycle"], ["muon"], ["add"]],
}
"""How valid command lines may begin."""
COSTLY = {"compute": ["0", "-1", "nan", "1e3", "x"], "port": ["-1", "99999999", "x"], "width": ["0", "400", "x", "-5"]}
"""Options of which few values are tried: others would take long, and be right."""


def _names(kind: Any) -> st.SearchStrategy[str]:
    several = sorted(listings(kind))
    one = st.one_of(st.sampled_from(CHEAP.get(kind, several)), st.sampled_from(several), odd)
    return st.lists(one, min_size=1, max_size=2).map(("+" if kind == "optimizer" else ",").join)


def _keys() -> list[str]:
    """All parameters by owner and name."""
    found = []
    for kind in KINDS:
        for name in listings(kind):
            plugin = getattr(registry, kind)(name)
            owner = name if kind == "optimizer" else kind
            own = settable_of(plugin()) if kind == "optimizer" else settable(kind, plugin)
            found += [f"{owner}.{parameter}" for parameter in own]
    for name, part in parts_of(registry.learner("quadratic"), None).items():
        found += [f"{name}.{parameter}" for parameter in settable_of(part)]
    return sorted(set(found))


def _value(command: click.Command, option: click.Parameter, ids: Sequence[str]) -> st.SearchStrategy[str]:
    """Values for an option or an argument."""
    name, placeholder = str(option.name), option.metavar or ""
    if name in COSTLY:
        return st.sampled_from(COSTLY[name])
    if name in NAMED:
        return _names(name)
    if placeholder.startswith("OWNER.NAME"):
        return st.one_of(st.builds("{}={}".format, st.sampled_from(_keys()), values), odd)
    if name in ("results", "sources", "into", "grid"):
        return st.one_of(st.sampled_from(PATHS), odd)
    if name in ("output", "diagram", "save_model", "mlflow", "tensorboard"):
        return st.one_of(st.sampled_from(FILES), odd)
    if name == "storage":
        return st.sampled_from(STORAGES)
    if name == "id":
        return st.one_of(st.sampled_from([*ids, *(one[:6] for one in ids)]), odd)
    known = (
        list(picture_kinds())
        if command.name == "plot" and name == "kind"
        else [w for w in placeholder.split("|") if w.islower()]
    )
    if name == "name":
        known = [one for kind in KINDS for one in listings(kind)]
    kinds = {"integer": integers, "float": numbers}
    plain = kinds.get(option.type.name, values)
    return st.one_of(st.sampled_from(known), plain, odd) if known else st.one_of(plain, plain, odd)


ALWAYS = {"reproduce": ["--no-run"]}
"""Options that a command is always given: recipes run for hours."""
NEVER = {"reproduce": {"every", "listed"}}
"""Parameters that are left out, since planning all recipes takes ten seconds."""


@st.composite
def command_lines(draw: Any, ids: Sequence[str]) -> list[str]:
    """A command with some of its arguments and options, perhaps twice, without a value, or unknown."""
    command = COMMANDS[draw(st.sampled_from(sorted(COMMANDS)))]
    name = command.name or ""
    params = [one for one in command.params if one.name not in NEVER.get(name, ())]
    begun = [*draw(st.sampled_from([[], *BASE.get(name, [])] * 2 + BASE.get(name, [[]]) * 3))]
    parts: list[list[str]] = []
    for _ in range(draw(st.integers(0, MOST_OPTIONS))):
        option = draw(st.sampled_from(params))
        value = [] if getattr(option, "is_flag", False) else [draw(_value(command, option, ids))]
        flags = [*option.opts, *option.secondary_opts] if isinstance(option, click.Option) else []
        if isinstance(option, click.Option) and draw(st.integers(0, 30)) == 0:
            value = []
        parts.append([*([draw(st.sampled_from(flags))] if flags else []), *value])
    if draw(st.integers(0, 15)) == 0:
        parts.append(draw(st.sampled_from([["--nonesuch"], ["--help"], ["-x"], ["surplus"], ["--steps=4"], ["--"]])))
    if not begun:  # arguments must be there for anything else to be looked at
        begun = [
            draw(_value(command, one, ids))
            for one in command.params
            if isinstance(one, click.Argument) and one.required
        ]
    return [name, *ALWAYS.get(name, []), *begun, *(word for part in parts for word in part)]


# Grids


GRID: dict[str, Any] = {
    "encoder": ["onehot", "cycle"],
    "learner": ["ridge", {"mlp": {"alpha": [0.1, 1]}}],
    "modulus": 5,
    "steps": 3,
}
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10), st.sampled_from([0.5, -1.0, float("inf"), float("nan")]), odd
)
nested: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(odd, st.integers(0, 3), st.none()), inner, max_size=3)
    ),
    max_leaves=6,
)
RAW = [
    *(
        "",
        "encoder: [",
        "- a\n- b",
        "&a [*a]",
        "a: &a {b: *a}",
        "encoder: onehot\nencoder: cycle",
        "? [a]\n: b",
        "? {a: b}\n: c",
        "--- 1\n--- 2",
    ),
    *(
        "!!python/object:os.system x",
        "!!binary x",
        "\ufeffencoder: onehot",
        "x: " + "[" * 2000,
        "a: " + "9" * 5000,
        "2001-01-01: 2",
        "%YAML 9.9\n---\na: 1",
    ),
    "\n".join(
        [
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
            *(f"{b}: &{b} [{', '.join(['*' + a] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        ]
    ),
]
KEYS = [
    "encoder",
    "learner",
    "modulus",
    "steps",
    "seeds",
    "seed",
    "task",
    "sdr",
    "combine",
    "optimizer",
    "grids",
    "name",
    "train_fraction",
    "seconds",
    "learner.alpha",
    "encoder.n",
    "adamw.lr",
    "nonesuch",
]


@st.composite
def grids(draw: Any) -> bytes:
    """The text of a grid: raw, or a valid one in which some values are others."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.one_of(st.binary(max_size=30), st.sampled_from(RAW).map(str.encode)))
    document = dict(GRID)
    for key in draw(st.lists(st.one_of(st.sampled_from(KEYS), st.sampled_from(KEYS), odd), max_size=3)):
        document[key] = draw(
            st.one_of(nested, st.sampled_from([5, [5, 7], "all", {"from": 1, "to": 3, "count": 2}, [document]]))
        )
    return yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass")
