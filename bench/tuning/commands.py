"""Command lines: the one that makes a study, and the one that trains parameters that it found."""

from collections.abc import Mapping
from typing import Any

from bench.specs import Spec, command_of, in_folder, run_request
from bench.tuning.space.ranges import Range
from bench.tuning.storage.open import shown_url


def tune_command(asked: Mapping[str, Any]) -> str:
    """The command line that makes a request to tune.

    :param asked: arguments of `bench.tune`.

    >>> tune_command({"encoder": ["onehot", "cycle"], "learner": "ridge", "fix": {"learner.alpha": 1.0}, "trials": 8})
    'python -m bench tune --encoder onehot,cycle --learner ridge --fix learner.alpha=1.0 --trials 8'
    """
    texts = {name: shown_url(value) if name == "storage" else _text(value) for name, value in asked.items()}
    return command_of(texts, "tune")


def _text(value: Any) -> Any:
    """A value whose ranges and lists are text."""
    if isinstance(value, Mapping):
        return {key: _text(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return f"{value.low}..{value.high}{':log' if value.log else ''}" if isinstance(value, Range) else value


def run_command(spec: Spec, limits: Mapping[str, Any], seeds: int, results: str) -> str:
    """The command line of `bench run` that trains a spec; it names everything that differs from its default.

    :param limits: steps, epochs and seconds of a cell, None for no limit.
    """
    return command_of({**run_request(spec), **limits, **in_folder(results), "seeds": seeds})
