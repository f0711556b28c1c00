"""Command lines: the one that makes a study, and the one that trains parameters that it found."""

import shlex
from collections.abc import Mapping
from typing import Any

from bench.specs import Request, Spec, defaults_of, family, registry
from bench.tuning.search import LIMITS, SHARED
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
    apart = {"encoder", "learner", "validation_fraction", *LIMITS}
    wanted, usual = ({name: _field(one, name) for name in SHARED if name not in apart} for one in (spec, plain))
    usual |= {"task": Request.task, "results": "results"}
    for name, value in {**wanted, **limits, "results": results}.items():
        words += [] if value == usual.get(name) else _option(name, value)
    return shlex.join([*words, "--seeds", str(seeds)])


def _field(spec: Spec, name: str) -> Any:
    """The value of a field of a request in a spec; None for a field that does not decide a result."""
    if name == "sdr":
        return spec.sdr or "off"
    return getattr(spec, "protocol" if name == "pairs" else name, None)


def _option(name: str, value: Any) -> list[str]:
    """The words of an option; that of a flag has no value."""
    option = "--round" if name == "at_once" else f"--{name.replace('_', '-')}"
    return [option] if value is True else [option, _text(value)]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def _as_setting(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, list | tuple):
        return repr(tuple(value)).replace(" ", "")
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
