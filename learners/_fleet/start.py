"""How a fleet begins: one group of all replicas, with their first weights and their training data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from learners._fleet.group import SHARED, Group, Tensors, padded
from learners._fleet.update_rule import FleetLearner, Rule
from learners._problem import Problem


def first_group(
    learners: Sequence[FleetLearner],
    problems: Sequence[Problem],
    seeds: Sequence[int],
    batches: Sequence[int],
    rule: Rule,
    device: torch.device,
    dtype: torch.dtype,
) -> Group:
    """All replicas as one group, before the first step.

    :param seeds: one for each replica.
    :param batches: the batch size of each replica.
    """
    weights = _all_weights(learners, problems, seeds, rule)
    stacked = {name: torch.stack([w[name] for w in weights]).to(device, dtype) for name in weights[0]}
    trained = {name for name, parameter in rule.network.named_parameters() if parameter.requires_grad}
    params = {name: x for name, x in stacked.items() if name in trained}
    hypers, replicas = [learner.hyper() for learner in learners], len(learners)
    tensors = {
        "params": params,
        "frozen": {name: x for name, x in stacked.items() if name not in trained},
        "state": rule.transformation.init(params),
        "hyper": {name: torch.tensor([h[name] for h in hypers], device=device, dtype=dtype) for name in hypers[0]},
        "data": _data(problems, batches, device, dtype),
        "clock": {
            "seed": torch.tensor(list(seeds), device=device),
            "step": torch.zeros(replicas, dtype=torch.int64, device=device),
            "alive": torch.ones(replicas, dtype=torch.bool, device=device),
        },
    }
    return Group(list(range(replicas)), np.zeros(replicas, dtype=np.int64), tensors)


def _all_weights(
    learners: Sequence[FleetLearner], problems: Sequence[Problem], seeds: Sequence[int], rule: Rule
) -> list[Tensors]:
    """The first weights of each replica. Replicas for which the same would be drawn share one draw."""
    known: dict[Any, Tensors] = {}
    found = []
    for learner, problem, seed in zip(learners, problems, seeds, strict=True):
        key = seed, repr(learner.start()), id(problem.codes), problem.n_classes
        if key not in known:
            codes, network = problem.codes, rule.network
            if learner.start() != learners[0].start():
                network = learner.network(codes.n_slots, codes.n_features, problem.n_classes)
            known[key] = _drawn(network, seed, codes.table_UF)
        found.append(known[key])
    return found


def _drawn(network: Any, seed: int, table_UF: Any) -> Tensors:
    """The first weights of one replica, drawn on the CPU so that all devices start alike."""
    code_norm = float(np.sqrt((table_UF.astype(np.float64) ** 2).sum(axis=1).mean())) or 1.0
    network.reset(torch.Generator().manual_seed(seed), code_norm)
    return {name: x.detach().clone() for name, x in network.named_parameters()}


def _data(problems: Sequence[Problem], batches: Sequence[int], device: torch.device, dtype: torch.dtype) -> Tensors:
    """Codes and answers of the training rows. One table serves all replicas where all have the same."""

    def uploaded(array: Any, kind: torch.dtype | None = None) -> torch.Tensor:
        return torch.as_tensor(array, device=device, dtype=kind)

    tables = [problem.codes.table_UF for problem in problems]
    data = {
        "index": uploaded(padded([problem.codes.index_NS[problem.train] for problem in problems])),
        "y": uploaded(padded([problem.y for problem in problems])),
    }
    longest = max(batches)
    if min(batches) < longest:  # full batches of different sizes: padded rows have weight 0
        weights = [np.where(np.arange(longest) < n, 1 / n, 0.0) for n in batches]
        data["weight"] = uploaded(np.stack(weights), dtype)
    if any(problem.weight is not None for problem in problems):
        data["row_weight"] = uploaded(padded([_relative(problem) for problem in problems]), dtype)
    if all(table is tables[0] or np.array_equal(table, tables[0]) for table in tables[1:]):
        return data | {SHARED: uploaded(tables[0], dtype)}
    return data | {"table": uploaded(padded(tables), dtype)}


def _relative(problem: Problem) -> NDArray[np.float64]:
    """The weights of training rows, divided by their mean."""
    return np.ones(len(problem.train)) if problem.weight is None else problem.weight / problem.weight.mean()
