"""Which cells train side by side, as one fleet: the one grouping, of plans and of searches."""

import json
import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import lru_cache

from bench.executors import Unit
from bench.specs import Spec, count_train, minimal_spec, prepare, registry

FLEET = {"cpu": 8, "cuda": 256}
"""Replicas that train side by side: what a killed process loses is their work since it was last kept."""
AT_ONCE = 16
"""Cells that need no steps, and are done before a process of their own has started."""


def structure_of(spec: Spec, n_train: int) -> Hashable:
    """What cells that train side by side have in common; the learner's name where they train one after another."""
    structure = spec.make_learner().structure(n_train)
    if structure is None:
        return str(spec.learner["name"])
    encoder = {name: value for name, value in spec.encoder.items() if name != "random_state"}
    code = [spec.task, spec.modulus, spec.task_parameters, encoder, spec.combine, spec.sdr]
    return structure, spec.precision, _code_shape(json.dumps(code))


@lru_cache(maxsize=1 << 16)
def _code_shape(code: str) -> tuple[int, int, int, bool]:
    """Slots, features and classes, and whether codes are one-hot, which are looked up."""
    task, modulus, task_parameters, encoder, combine, sdr = json.loads(code)
    if "random_state" in registry.encoder(encoder["name"])().get_params():
        encoder["random_state"] = 0
    plain = minimal_spec(task, modulus, task_parameters, "ordered", 0.5, 0.0, 0)
    cell = prepare(replace(plain, encoder=encoder, combine=combine, sdr=sdr))
    codes = cell.problem.codes
    return codes.n_slots, codes.n_features, cell.task.n_classes, codes.onehot


def largest_fleet(structure: Hashable, spec: Spec, n_train: int, kind: str) -> int:
    """How many cells of a structure one job has at most.

    :param kind: of the device, "cpu" or "cuda".
    """
    if not isinstance(structure, str):
        return FLEET[kind]
    return AT_ONCE if spec.make_learner().granularity(n_train) == 0 else 1


def fleets_of(units: Sequence[Unit], kind: str, slots: int) -> list[tuple[Unit, ...]]:
    """Cells grouped by structure, each group in as many parts as there are slots, or a multiple of it.

    :param kind: of the device, "cpu" or "cuda".
    :param slots: jobs that run at a time.
    """
    groups: dict[Hashable, list[Unit]] = {}
    for unit in units:
        groups.setdefault(structure_of(unit.spec, count_train(unit.spec)), []).append(unit)
    fleets = []
    for structure, group in groups.items():
        used, first = min(slots, len(group)), group[0].spec
        count = math.ceil(len(group) / largest_fleet(structure, first, count_train(first), kind) / used) * used
        fleets += [part for start in range(count) if (part := tuple(group[start::count]))]
    return fleets
