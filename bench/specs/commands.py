"""The command line that trains a spec."""

import shlex
from collections.abc import Mapping
from typing import Any

from bench.specs import registry
from bench.specs.parameters import defaults_of
from bench.specs.request import Request
from bench.specs.resolve import family
from bench.specs.spec import Spec, listed


def run_request(spec: Spec) -> dict[str, Any]:
    """The arguments of `bench.run` by which a spec differs from the default, without seeds and validation pairs."""
    settings: dict[str, Any] = {}
    for owner, maker in (("encoder", registry.encoder), ("learner", registry.learner)):
        chosen = getattr(spec, owner)
        for name, default in defaults_of(maker(chosen["name"])).items():
            if name in chosen and name != "random_state" and listed(chosen[name]) != listed(default):
                settings[f"{owner}.{name}"] = chosen[name]
    plain = family(Request(encoder=spec.encoder["name"], learner=spec.learner["name"], task=spec.task)).first
    fields = {
        "combine": (spec.combine, plain.combine),
        "sdr": (spec.sdr or "off", plain.sdr or "off"),
        "task": (spec.task, "add"),
        "modulus": (spec.modulus, plain.modulus),
        "pairs": (spec.protocol, plain.protocol),
        "train_fraction": (spec.train_fraction, plain.train_fraction),
        "precision": (spec.precision, plain.precision),
    }
    changed = {name: value for name, (value, default) in fields.items() if value != default}
    return {"encoder": spec.encoder["name"], "learner": spec.learner["name"], "settings": settings, **changed}


def exact_request(spec: Spec) -> dict[str, Any] | None:
    """The arguments of `bench.run` that make this very spec; None where no request does, as for trials of a study."""
    request = {**run_request(spec), "seed": spec.seed}
    if spec.validation_fraction:
        request["validation_fraction"] = spec.validation_fraction
    settings = request["settings"]
    if settings.get("encoder.modulus") == (spec.modulus or spec.make_task().n_operands):
        del settings["encoder.modulus"]  # an encoder is told the task's unless the request says otherwise
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


def command_of(request: Mapping[str, Any]) -> str:
    """The command line of `bench run` for these arguments.

    >>> command_of({"encoder": "cycle", "learner": "mlp", "settings": {"learner.alpha": 0.1}, "sdr": "off", "seeds": 5})
    'python -m bench run --encoder cycle --learner mlp --set learner.alpha=0.1 --sdr off --seeds 5'
    """
    words = ["python", "-m", "bench", "run"]
    for name, value in request.items():
        if name == "settings":
            for key, one in value.items():
                words += ["--set", f"{key}={_as_setting(one)}"]
        elif value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _as_setting(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, list | tuple):
        return repr(tuple(value)).replace(" ", "")
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
