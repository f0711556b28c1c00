"""The grouping of cells into fleets, which train side by side; used by plans and by searches."""

import json
import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import lru_cache

from bench.executors import WorkUnit
from bench.specs import Spec, count_train, minimal_spec, prepare, registry

FLEET = {"cpu": 8, "cuda": 256}
"""The largest number of replicas of a fleet. A killed process loses their work since the last save."""
AT_ONCE = 16
"""The largest number of closed-form cells in a job. They are done before a process of their own would have started."""


def structure_of(spec: Spec, n_train: int) -> Hashable:
    """The structure that cells of a fleet share; the name of the learner if it trains cells one after another."""
    structure = spec.make_learner().structure(n_train)
    if structure is None:
        return str(spec.learner["name"])
    encoder = {name: value for name, value in spec.encoder.items() if name != "random_state"}
    code = [spec.task, spec.modulus, spec.task_parameters, encoder, spec.combine, spec.sdr]
    return structure, spec.precision, _code_shape(json.dumps(code))


@lru_cache(maxsize=1 << 16)
def _code_shape(code: str) -> tuple[int, int, int, bool]:
    """The numbers of slots, features and classes, and whether the codes are one-hot, which learners look up."""
    task, modulus, task_parameters, encoder, combine, sdr = json.loads(code)
    if "random_state" in registry.encoder(encoder["name"])().get_params():
        encoder["random_state"] = 0
    plain = minimal_spec(task, modulus, task_parameters, "ordered", 0.5, 0.0, 0)
    cell = prepare(replace(plain, encoder=encoder, combine=combine, sdr=sdr))
    codes = cell.problem.codes
    return codes.n_slots, codes.n_features, cell.task.n_classes, codes.onehot


def largest_fleet(structure: Hashable, spec: Spec, n_train: int, kind: str) -> int:
    """The largest number of cells of a structure in one job.

    :param kind: the kind of the device, "cpu" or "cuda".
    """
    if not isinstance(structure, str):
        return FLEET[kind]
    return AT_ONCE if spec.make_learner().granularity(n_train) == 0 else 1


def fleets_of(units: Sequence[WorkUnit], kind: str, slots: int) -> list[tuple[WorkUnit, ...]]:
    """Group cells by structure, and split each group into one part for each slot, or a multiple of that.

    :param kind: the kind of the device, "cpu" or "cuda".
    :param slots: the number of jobs that run at the same time.
    """
    groups: dict[Hashable, list[WorkUnit]] = {}
    for unit in units:
        groups.setdefault(structure_of(unit.spec, count_train(unit.spec)), []).append(unit)
    fleets = []
    for structure, group in groups.items():
        used, first = min(slots, len(group)), group[0].spec
        count = math.ceil(len(group) / largest_fleet(structure, first, count_train(first), kind) / used) * used
        fleets += [part for start in range(count) if (part := tuple(group[start::count]))]
    return fleets
