"""Which cells of trials train side by side, and how many workers share them."""

import json
import math
from collections.abc import Hashable, Sequence

from bench.executors import Unit
from bench.scheduling import AT_ONCE, FLEET
from bench.specs import Spec, count_train


def structure_of(spec: Spec) -> Hashable:
    """What cells that train side by side have in common; the learner's name if they train one after another."""
    structure = spec.make_learner().structure(count_train(spec))
    if structure is None:
        return str(spec.learner["name"])
    encoder = {name: value for name, value in spec.encoder.items() if name != "random_state"}
    return structure, json.dumps([encoder, spec.combine, spec.sdr, spec.precision])


def fleets_of(units: Sequence[Unit], kind: str, slots: int) -> list[tuple[Unit, ...]]:
    """Cells grouped by structure, each group in as many parts as there are slots, or a multiple of it.

    :param kind: of the device, "cpu" or "cuda".
    :param slots: jobs that run at a time.
    """
    groups: dict[Hashable, list[Unit]] = {}
    for unit in units:
        groups.setdefault(structure_of(unit.spec), []).append(unit)
    fleets = []
    for structure, group in groups.items():
        used = min(slots, len(group))
        count = math.ceil(len(group) / _largest_fleet(structure, group[0].spec, kind) / used) * used
        fleets += [part for first in range(count) if (part := tuple(group[first::count]))]
    return fleets


def _largest_fleet(structure: Hashable, spec: Spec, kind: str) -> int:
    if not isinstance(structure, str):
        return FLEET[kind]
    return AT_ONCE if spec.make_learner().granularity(count_train(spec)) == 0 else 1
