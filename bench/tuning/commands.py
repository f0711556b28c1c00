"""Command lines: the one that makes a study, and the one that trains parameters that it found."""

import shlex
from collections.abc import Mapping
from typing import Any

from bench.specs import Request, Spec, defaults_of, family, registry
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
    words = ["python", "-m", "bench", "run", "--encoder", spec.encoder["name"], "--learner", spec.learner["name"]]
    for kind, maker in (("encoder", registry.encoder), ("learner", registry.learner)):
        chosen = getattr(spec, kind)
        for name, default in defaults_of(maker(chosen["name"])).items():
            if name in chosen and name != "random_state" and _plain(chosen[name]) != _plain(default):
                words += ["--set", f"{kind}.{name}={_as_setting(chosen[name])}"]
    plain = family(Request(encoder=spec.encoder["name"], learner=spec.learner["name"], task=spec.task)).first
    options = {
        "combine": (spec.combine, plain.combine),
        "sdr": (spec.sdr or "off", plain.sdr or "off"),
        "task": (spec.task, "add"),
        "modulus": (spec.modulus, plain.modulus),
        "pairs": (spec.protocol, plain.protocol),
        "train-fraction": (spec.train_fraction, plain.train_fraction),
        "precision": (spec.precision, plain.precision),
        **{name: (limit, None) for name, limit in limits.items()},
        "results": (results, "results"),
    }
    for name, (value, default) in options.items():
        words += [] if value == default else [f"--{name}", str(value)]
    return shlex.join([*words, "--seeds", str(seeds)])


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def _as_setting(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, list | tuple):
        return repr(tuple(value)).replace(" ", "")
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
