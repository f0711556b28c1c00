"""Command lines: the one that trains a spec, and those of other requests."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import FLAGS, shell_words
from bench.results import SUFFIX, flat
from bench.specs.request import Request
from bench.specs.resolve import family
from bench.specs.spec import Spec

ASKED = {"protocol": "pairs", "task_parameters": "task"}
"""Fields of a spec that a request has other names for."""


def settings_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a spec, as in a record, by names with dots and without seeds."""
    seeds = ("seed", "split_seed", "encoder.random_state", "learner.random_state")
    return {name: value for name, value in flat(spec).items() if name not in seeds}


@cache
def default_settings(
    encoder: str, learner: str, task: str, modulus: int | None = None, optimizer: str | None = None
) -> Mapping[str, Any]:
    """The settings of a run for which only encoder, learner, task, modulus and optimizer are given.

    :param modulus: None takes that of the task.
    :param optimizer: None takes the learner's own.
    :raises RequestError: where one of them is not installed.
    """
    request = Request(encoder=encoder, learner=learner, task=task, modulus=modulus, optimizer=optimizer)
    # The optimizer may need other settings of the learner than its defaults.
    return settings_of(family(request, checked=False).first.to_dict())


def request_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `bench.run` that give settings of a spec.

    >>> request_of({"protocol": "ordered", "sdr": None, "task_parameters.operand_max": 3})
    {'settings': {'task.operand_max': 3}, 'pairs': 'ordered', 'sdr': 'off'}
    """
    request: dict[str, Any] = {"settings": {}}
    for name, value in settings.items():
        asked = _asked(name)
        (request["settings"] if "." in asked else request)[asked] = _as_asked(name, value)
    return request


def _asked(name: str) -> str:
    """The name that a request has for a setting of a spec."""
    owner, dot, parameter = name.partition(".")
    if owner == "optimizer" and dot:
        return "optimizer" if parameter == "name" else parameter
    return f"{ASKED.get(owner, owner)}{dot}{parameter}"


def _in_name(name: str) -> bool:
    """Whether a setting is the name of a part inside another one, which the name of the optimizer tells."""
    return name.startswith("optimizer.") and name.endswith(".name") and name != "optimizer.name"


def _as_asked(name: str, value: Any) -> Any:
    return "off" if name == "sdr" and value is None else value


def changed_settings(spec: Spec) -> dict[str, tuple[Any, Any]]:
    """The settings of a spec that differ from those of its encoder, learner and task, each with its default.

    They are named as in a request.
    """
    own = settings_of(spec.to_dict() | {"vault": {}})
    chosen = spec.encoder["name"], spec.learner["name"], spec.task
    plain, named = default_settings(*chosen), None if spec.optimizer is None else spec.optimizer["name"]
    usual = {**default_settings(*chosen, spec.modulus, named)}
    usual |= {name: plain.get(name) for name in ("modulus", "optimizer.name")} | {"label_noise": Request.label_noise}
    own = {name: value for name, value in own.items() if not _in_name(name)}
    changed = {name: (value, usual.get(name)) for name, value in own.items() if value != usual.get(name)}
    return {_asked(name): (_as_asked(name, one), _as_asked(name, other)) for name, (one, other) in changed.items()}


def run_request(spec: Spec) -> dict[str, Any]:
    """The arguments of `bench.run` by which a spec differs from the default, without seeds and validation pairs."""
    task = {} if spec.task == Request.task else {"task": spec.task}
    changed = {name: value for name, (value, _) in changed_settings(spec).items() if name != "validation_fraction"}
    return {"encoder": spec.encoder["name"], "learner": spec.learner["name"], **task, **request_of(changed)}


def exact_request(spec: Spec) -> dict[str, Any] | None:
    """The arguments of `bench.run` that make this very spec; None where no request does, as for trials of a study."""
    request = {**run_request(spec), "seed": spec.seed}
    if spec.validation_fraction:
        request["validation_fraction"] = spec.validation_fraction
    settings = request["settings"]
    made = family(Request.of(request), spec.seed).first
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
    return shell_words(*words)


def in_folder(results: str | Path) -> dict[str, str]:
    """The argument that names the results folder of a command that trains: none for the usual one, and for a pack."""
    is_pack = str(results).endswith(SUFFIX) or Path(results).is_file()
    return {} if str(results) == "results" or is_pack else {"results": str(results)}


def _as_setting(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, list | tuple):
        return repr(tuple(value)).replace(" ", "")
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
