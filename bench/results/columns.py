"""The columns of the tables that `bench.load` and `bench.export` make of records: type, unit, meaning, their values."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.results.curves import PARTS, TARGETS
from bench.results.record import flat

OWNERS = ("task", "encoder", "learner")
"""Whose parameters stand first among the columns of parameters; those of an optimizer's parts follow."""

TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "Int64": int, "Float64": (int, float), "boolean": bool}
"""What a record has where a column has this type of pandas."""


class Column(NamedTuple):
    """A column of a table.

    :param kind: the type of pandas, all of which can be missing.
    :param unit: of its numbers; "" where they have none.
    """

    kind: str
    unit: str
    meaning: str
    value: Callable[[Mapping[str, Any]], Any]

    def check(self, name: str, value: Any) -> None:
        """Raise TypeError where a value of a record is of another type."""
        if value is not None and (
            (isinstance(value, bool) and self.kind != "boolean") or not isinstance(value, TYPES[self.kind])
        ):
            raise TypeError(f"its {name} is {value!r}")


@dataclass(frozen=True, slots=True)
class At:
    """What stands in a record below some keys.

    :param default: the value of a record that lacks them, since an earlier version has not kept it.
    """

    keys: tuple[str, ...]
    default: Any = None

    def __call__(self, record: Mapping[str, Any]) -> Any:
        """The value of a record."""
        found: Any = record
        for key in self.keys:
            found = None if found is None else found.get(key)
        return self.default if found is None else found


def _at(*keys: str) -> At:
    return At(keys)


def _crossings() -> Iterator[tuple[str, Column]]:
    words = {
        "steps_to": "first step with {} of the pairs right",
        "sustained_steps_to": "step from which on {} stay right",
    }
    for key, meaning in words.items():
        for part in PARTS:
            for target in TARGETS:
                said = f"{meaning.format(f'{100 * target:g} %')} ({part}); missing: never, or not confirmed"
                yield f"{part}_{key}_{100 * target:g}", Column("Int64", "updates", said, _at(key, part, str(target)))


def _error(record: Mapping[str, Any]) -> str | None:
    error = record["error"]
    return None if error is None else f"{error['type']}: {error['message']}"


RUN_COLUMNS: dict[str, Column] = {
    "id": Column("string", "", "the record's id, a hash of spec and plugin versions", _at("id")),
    "results": Column("string", "", "the folder that it was read from", _at("results")),
    "label": Column("string", "", "the configuration without the seeds, by what differs from defaults", _at("label")),
    "status": Column("string", "", "done, diverged, failed, timeout or interrupted", _at("status")),
    "task": Column("string", "", "what is asked", _at("spec", "task")),
    "modulus": Column("Int64", "", "p", _at("spec", "modulus")),
    "protocol": Column("string", "", "which pairs there are, and whether twins stay together", _at("spec", "protocol")),
    "train_fraction": Column("Float64", "share of pairs", "pairs that train", _at("spec", "train_fraction")),
    "validation_fraction": Column(
        "Float64", "share of pairs", "pairs that validate", _at("spec", "validation_fraction")
    ),
    "label_noise": Column(
        "Float64",
        "share of training pairs",
        "training answers that were replaced by wrong ones",
        At(("spec", "label_noise"), 0.0),
    ),
    "encoder": Column("string", "", "the encoder; encoder.NAME are its parameters", _at("spec", "encoder", "name")),
    "combine": Column("string", "", "how the codes of the operands are combined", _at("spec", "combine")),
    "sdr": Column("Int64", "features", "how many features of a slot are kept; missing: all", _at("spec", "sdr")),
    "learner": Column("string", "", "the learner; learner.NAME are its parameters", _at("spec", "learner", "name")),
    "optimizer": Column(
        "string",
        "",
        "its optimizer, parts joined by +; PART.NAME: their parameters",
        _at("spec", "optimizer", "name"),
    ),
    "precision": Column("string", "", "the arithmetic of the training", _at("spec", "precision")),
    "seed": Column("Int64", "", "the seed", _at("spec", "seed")),
    "split_seed": Column("Int64", "", "the seed of the split", _at("spec", "split_seed")),
    "study": Column("string", "", "the study that chose the settings; missing: none", _at("tuning", "study")),
    "budget_steps": Column("Int64", "updates", "the budget; 0 for a learner without steps", _at("budget", "steps")),
    "budget_seconds": Column("Float64", "s", "the hard limit; missing: none", _at("budget", "seconds")),
    "stop_when_solved": Column("boolean", "", "whether it stopped once solved", _at("budget", "stop_when_solved")),
    "step": Column("Int64", "updates", "the last evaluation; missing where there was none", _at("final", "step")),
    **{
        f"{part}_accuracy": Column(
            "Float64", "share of pairs", f"right at the end, {part}", _at("final", f"{part}_accuracy")
        )
        for part in PARTS
    },
    **{
        f"{part}_loss": Column(
            "Float64", "the learner's", f"mean loss at the end, {part}", _at("final", f"{part}_loss")
        )
        for part in PARTS
    },
    "diagonal_accuracy": Column(
        "Float64", "share of pairs", "right at the end of the test pairs a = b", _at("test_accuracy_diagonal")
    ),
    **dict(_crossings()),
    **{
        f"seconds_{name}": Column("Float64", "s", f"{words}, the run's share of its fleet", _at("seconds", name))
        for name, words in {
            "train": "training",
            "evaluate": "evaluation",
            "compile": "compiling",
            "probes": "probes",
            "harness": "all else",
            "total": "all of it",
        }.items()
    },
    "flops": Column("Float64", "FLOPs", "arithmetic of the training; missing: unknown", _at("flops")),
    "parameters": Column("Int64", "", "trainable numbers", _at("parameters")),
    "peak_memory_bytes": Column("Int64", "bytes", "of its process or device", _at("peak_memory_bytes")),
    "replicas": Column("Int64", "", "runs that were trained side by side, this one included", _at("replicas")),
    **{
        f"probe_{name}": Column("Float64", "share of test pairs", f"right by {words}", _at("probes", name))
        for name, words in {
            "ridge": "a linear readout of the codes",
            "knn": "the nearest neighbour of the codes",
            "bilinear": "a linear readout of products of the codes",
        }.items()
    },
    "device": Column("string", "", "where it was trained", _at("environment", "device")),
    "processor": Column("string", "", "its name", _at("environment", "processor")),
    "threads": Column("Int64", "", "threads of the training", _at("environment", "threads")),
    "git_commit": Column("string", "", "the commit of the program", _at("environment", "git_commit")),
    "error": Column("string", "", "the exception that ended it; missing: none", _error),
}
"""The columns of ``runs``, a row for each record. Parameters of plugins are columns besides: ``task.NAME``,
``encoder.NAME``, ``learner.NAME``, and of an optimizer's parts ``PART.NAME``, missing where a record has none."""

CURVE_COLUMNS: dict[str, tuple[str, str]] = {
    "id": ("", "the record, as in the table of runs"),
    "step": ("updates", "when it was evaluated"),
    **{f"{part}_accuracy": ("share of pairs", f"right, {part}") for part in PARTS},
    **{f"{part}_loss": ("the learner's", f"mean loss, {part}") for part in PARTS},
    "weight_norm": ("", "Euclidean norm of all weights; missing where a learner does not keep it"),
    "activation_sparsity": ("share", "silent hidden units, below 1 % of the largest of an example; missing likewise"),
}
"""The columns of ``curves``, a row for each evaluation of each record: unit and meaning. What else a learner keeps of
its training is a column besides."""


FILTERS = {
    "encoder": "encoder",
    "learner": "learner",
    "optimizer": "optimizer",
    "task": "task",
    "pairs": "protocol",
    "train_fraction": "train_fraction",
    "modulus": "modulus",
    "label_noise": "label_noise",
}
"""The column that each filter compares, as in `bench.rank`."""


def settings_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of task, encoder, learner and optimizer by owner and name."""
    owners = {"task": spec.get("task_parameters") or {}, "encoder": spec["encoder"], "learner": spec["learner"]}
    owners |= {part: values for part, values in (spec.get("optimizer") or {}).items() if part != "name"}
    return {name: value for name, value in flat(owners).items() if name not in ("encoder.name", "learner.name")}


def setting_order(name: str) -> tuple[int, str]:
    """By what the columns of parameters are sorted."""
    owner = name.partition(".")[0]
    return (OWNERS.index(owner) if owner in OWNERS else len(OWNERS), name)


def as_text(value: Any) -> str | None:
    """A text as it is, but for halves of a character, which other tools cannot read; all else as JSON.

    >>> [as_text(value) for value in ("relu", [400, 200], 1e-05, True, None)]
    ['relu', '[400, 200]', '1e-05', 'true', None]
    """
    if value is None or isinstance(value, str):
        return value and value.encode("utf-8", "replace").decode()
    return json.dumps(value)


def described_columns() -> str:
    """Both tables of columns, as a part of a docstring."""
    lines = ["    Columns of *runs*:", ""]
    lines += [f"    - ``{name}``{_unit(one.unit)}: {one.meaning}." for name, one in RUN_COLUMNS.items()]
    lines += ["", "    Columns of *curves*:", ""]
    lines += [f"    - ``{name}``{_unit(unit)}: {meaning}." for name, (unit, meaning) in CURVE_COLUMNS.items()]
    return "\n".join(lines) + "\n"


def _unit(unit: str) -> str:
    return f" ({unit})" if unit else ""
