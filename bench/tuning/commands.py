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
        option = "--round" if name == "at_once" else f"--{name.replace('_', '-')}"
        if isinstance(value, Mapping):
            for key, one in value.items():
                words += [option, f"{key}={_text(one)}"]
        else:
            words += [option, shown_url(value) if name == "storage" else _text(value)]
    return shlex.join(words)


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
