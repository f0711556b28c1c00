"""Command lines: the one that trains a spec, and those of other requests."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import FLAGS
from bench.specs import registry
from bench.specs.parameters import defaults_of
from bench.specs.request import Request, options
from bench.specs.resolve import family
from bench.specs.spec import Spec, listed

APART = ("encoder", "learner", "seeds", "seed", "split_seed", "validation_fraction")
"""Fields of a request that are no difference from a default."""


def run_request(spec: Spec) -> dict[str, Any]:
    """The arguments of `bench.run` by which a spec differs from the default, without seeds and validation pairs."""
    settings: dict[str, Any] = {}
    for owner, maker in (("encoder", registry.encoder), ("learner", registry.learner)):
        chosen = getattr(spec, owner)
        for name, default in defaults_of(maker(chosen["name"])).items():
            if name in chosen and name != "random_state" and listed(chosen[name]) != listed(default):
                settings[f"{owner}.{name}"] = chosen[name]
    if settings.get("encoder.modulus") == (spec.modulus or spec.make_task().n_operands):
        del settings["encoder.modulus"]  # an encoder is told the task's unless the request says otherwise
    plain = family(Request(encoder=spec.encoder["name"], learner=spec.learner["name"], task=spec.task)).first
    wanted, usual = (
        {name: _field(one, name) for name in options(Request) if name not in APART} for one in (spec, plain)
    )
    usual["task"] = Request.task
    changed = {name: value for name, value in wanted.items() if value != usual[name]}
    return {"encoder": spec.encoder["name"], "learner": spec.learner["name"], "settings": settings, **changed}


def _field(spec: Spec, name: str) -> Any:
    """The value of a field of a request in a spec; None for a field that does not decide a result."""
    if name == "sdr":
        return spec.sdr or "off"
    return getattr(spec, "protocol" if name == "pairs" else name, None)


def exact_request(spec: Spec) -> dict[str, Any] | None:
    """The arguments of `bench.run` that make this very spec; None where no request does, as for trials of a study."""
    request = {**run_request(spec), "seed": spec.seed}
    if spec.validation_fraction:
        request["validation_fraction"] = spec.validation_fraction
    settings = request["settings"]
    made = family(Request.of(request), spec.seed).first
    for name, value in spec.task_parameters.items():
        if value != made.task_parameters.get(name):
            settings[f"task.{name}"] = value
    for owner in ("encoder", "learner"):
        if getattr(spec, owner).get("random_state") != getattr(made, owner).get("random_state"):
            settings[f"{owner}.random_state"] = getattr(spec, owner)["random_state"]
    if spec.split_seed != made.split_seed:
        request["split_seed"] = spec.split_seed
    return request if family(Request.of(request), spec.seed).first.id == spec.id else None


def command_of(request: Mapping[str, Any], command: str = "run") -> str:
    """The command line for these arguments; those that are None or False are left out.

    >>> command_of({"encoder": "cycle", "learner": "mlp", "settings": {"learner.alpha": 0.1}, "sdr": "off", "seeds": 5})
    'python -m bench run --encoder cycle --learner mlp --set learner.alpha=0.1 --sdr off --seeds 5'
    >>> command_of({"encoder": ["onehot", "cycle"], "at_once": 8, "quiet": True, "force": False}, "tune")
    'python -m bench tune --encoder onehot,cycle --round 8 --quiet'
    """
    words = ["python", "-m", "bench", command]
    for name, value in request.items():
        option = FLAGS.get(name, f"--{name.replace('_', '-')}")
        if isinstance(value, Mapping):
            for key, one in value.items():
                words += [option, f"{key}={_as_setting(one)}"]
        elif value is True:
            words.append(option)
        elif value is not None and value is not False:
            words += [option, ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)]
    return shlex.join(words)


def in_folder(results: str | Path) -> dict[str, str]:
    """The argument that names the results folder of a command that trains: none for the usual one, and for a pack."""
    return {} if str(results) == "results" or Path(results).is_file() else {"results": str(results)}


def _as_setting(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, list | tuple):
        return repr(tuple(value)).replace(" ", "")
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
