"""Command lines: the one that makes a study, and the one that trains parameters that it found."""

import shlex
from collections.abc import Mapping
from typing import Any

from bench.specs import Spec, command_of, run_request
from bench.tuning.space.ranges import Range
from bench.tuning.storage.open import shown_url


def tune_command(asked: Mapping[str, Any]) -> str:
    """The command line that makes a request to tune.

    :param asked: arguments of `bench.tune`.

    >>> tune_command({"encoder": ["onehot", "cycle"], "learner": "ridge", "fix": {"learner.alpha": 1.0}, "trials": 8})
    'python -m bench tune --encoder onehot,cycle --learner ridge --fix learner.alpha=1.0 --trials 8'
    """
    words = ["python", "-m", "bench", "tune"]
    for name, value in asked.items():
        if isinstance(value, Mapping):
            for key, one in value.items():
                words += _option(name, f"{key}={_text(one)}")
        else:
            words += _option(name, shown_url(value) if name == "storage" else value)
    return shlex.join(words)


def _option(name: str, value: Any) -> list[str]:
    """The words of an option; that of a flag has no value."""
    option = "--round" if name == "at_once" else f"--{name.replace('_', '-')}"
    return [option] if value is True else [option, _text(value)]


def _text(value: Any) -> str:
    if isinstance(value, Range):
        return f"{value.low}..{value.high}{':log' if value.log else ''}"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def run_command(spec: Spec, limits: Mapping[str, Any], seeds: int, results: str) -> str:
    """The command line of `bench run` that trains a spec; it names everything that differs from its default.

    :param limits: steps, epochs and seconds of a cell, None for no limit.
    """
    folder = {} if results == "results" else {"results": results}
    return command_of({**run_request(spec), **limits, **folder, "seeds": seeds})
