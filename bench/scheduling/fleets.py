"""Which cells train side by side, as one fleet."""

import json
from dataclasses import replace
from functools import lru_cache

from bench.specs import Spec, plain_spec, prepare, registry

FLEET = {"cpu": 8, "cuda": 256}
"""Replicas that train side by side: what a killed process loses is their work since it was last kept."""


AT_ONCE = 16
"""Cells that need no steps, and are done before a process of their own has started."""


def code_key(spec: Spec) -> str:
    """What decides the shape of the codes."""
    encoder = {name: value for name, value in spec.encoder.items() if name != "random_state"}
    return json.dumps([spec.task, spec.modulus, spec.task_parameters, encoder, spec.combine, spec.sdr])


@lru_cache(maxsize=1 << 16)
def code_shape(key: str) -> tuple[int, int, int, bool]:
    """Slots, features and classes, and whether codes are one-hot, which are looked up."""
    task, modulus, task_parameters, encoder, combine, sdr = json.loads(key)
    if "random_state" in registry.encoder(encoder["name"])().get_params():
        encoder["random_state"] = 0
    plain = plain_spec(task, modulus, task_parameters, "ordered", 0.5, 0.0, 0)
    cell = prepare(replace(plain, encoder=encoder, combine=combine, sdr=sdr))
    codes = cell.problem.codes
    return codes.n_slots, codes.n_features, cell.task.n_classes, codes.onehot
