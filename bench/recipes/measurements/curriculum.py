"""A curriculum: train on simple operations first, then on a difficult one, with as many updates in all.

The weights of one stage are the first weights of the next. All operations have the same pairs, split alike, so that
only answers change; accuracy is that of test pairs of the last operation, which no stage trains on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.errors import RequestError
from bench.recipes.measurements._fleets import Observation, Together, at_least, crossing, looks, share_of, watch
from bench.specs import Cell, Request, family, prepare
from learners import Setting, Training

version = 1
UNITS = {"steps": "steps", "accuracy": "share", "train_accuracy": "share"}
TARGET = 0.95
WEIGHTS = "w."
"""How the names of weights begin in the state of a training; others are of the optimizer, or the step."""


def lengths(stages: int, steps: int, share: float) -> list[int]:
    """Updates of each stage: a share of all for those before the last together, equally, and the rest for the last.

    >>> lengths(3, 1000, 0.4)
    [200, 200, 600]
    >>> lengths(1, 1000, 0.4)
    [1000]
    """
    before = [int(share * steps / (stages - 1))] * (stages - 1) if stages > 1 else []
    return [*before, steps - sum(before)]


def handed_on(before: Mapping[str, Any], fresh: Mapping[str, Any], keep_optimizer: bool) -> dict[str, Any]:
    """The state with which a stage begins.

    :param before: that in which the last one ended.
    :param fresh: that of a training which has not begun.
    :param keep_optimizer: whether the optimizer's moments and the count of steps go on. Otherwise they begin anew, with
        another warm-up, and only the weights stay.
    """
    if keep_optimizer:
        return dict(before)
    return {name: before[name] if name.startswith(WEIGHTS) else value for name, value in fresh.items()}


def cells_of(request: Mapping[str, Any], task: str, seeds: Sequence[int]) -> list[Cell]:
    """The cells of one operation, from the keys of a grid."""
    settings = {name: value for name, value in request.items() if "." in name}
    others = {name: value for name, value in request.items() if "." not in name}
    asked = Request.of({**others, "task": task, "settings": settings})
    return [prepare(family(asked, seed).first) for seed in seeds]


def begin(cells: Sequence[Cell], device: str, steps: int, before: Training | None, keep_optimizer: bool) -> Training:
    """A training of one stage, which begins with the weights of the one before it where there is one.

    :param steps: updates of the stage, by which is decided what is worth compiling.
    :raises RequestError: where the weights do not fit.
    """
    setting = Setting(device, cells[0].spec.precision, steps, len(looks(steps)))
    problems = [cell.problem for cell in cells]
    training = type(cells[0].learner).begin([cell.learner for cell in cells], problems, setting)
    for r, cell in enumerate(cells) if before is not None else ():
        assert before is not None
        try:
            training.restore(r, handed_on(before.state(r), training.state(r), keep_optimizer))
        except ValueError as error:
            raise RequestError(f"{cell.spec.task} cannot follow in stages: of the stage before, {error}.") from error
    return training


def _observe(
    seeds: Sequence[int],
    *,
    device: str,
    quick: bool,
    stages: Sequence[str],
    steps: int,
    share: float = 0.5,
    keep_optimizer: bool = False,
    **request: Any,
) -> list[Observation]:
    at_least(len(stages), steps=steps)
    share_of(share=share)
    *earlier, last = lengths(len(stages), steps, share)
    request = {"encoder": "onehot", "learner": "transformer", "pairs": "ordered"} | request
    training = None
    for task, count in zip(stages, earlier, strict=False):
        training = begin(cells_of(request, task, seeds), device, count, training, keep_optimizer)
        training.advance(_step(training) + count, range(len(seeds)))
    cells = cells_of(request, stages[-1], seeds)
    training = begin(cells, device, last, training, keep_optimizer)
    parts = {part: [cell.parts[part] for cell in cells] for part in ("train", "test")}
    begun, at = _step(training), looks(last)
    seen = watch(training, [begun + step for step in at], parts, [cell.answers_N for cell in cells])
    passed = [sum(earlier) + step for step in at]
    return [
        {
            **crossing("steps", passed, seen["test"][:, r].tolist(), TARGET),
            "accuracy": float(seen["test"][-1, r]),
            "train_accuracy": float(seen["train"][-1, r]),
        }
        for r in range(len(seeds))
    ]


def _step(training: Training) -> int:
    """Updates that the optimizer has counted."""
    return int(training.state(0)["step"])


observe = Together(_observe)
"""Observes one seed of an arm: steps of all stages together to 95 % of the test pairs of the last, and how it ends.

An arm has ``stages``, the operations in their order, ``steps`` in all, the ``share`` of them for all stages but the
last, ``keep_optimizer``, and keys of a grid for everything else.
"""
