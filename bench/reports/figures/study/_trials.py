"""What the pictures of a study read off its trials."""

import math
from collections.abc import Sequence

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState


def is_timed(study: Study) -> bool:
    """Whether values are steps or FLOPs, which studies of earlier versions kept as logarithms."""
    return "unit" in study.user_attrs.get("what", "") and study.direction == StudyDirection.MINIMIZE


def reached(trial: FrozenTrial) -> bool:
    """Whether a trial held the target; true also for studies that do not count steps."""
    return "held_steps_to_99" in trial.user_attrs or "steps" not in trial.user_attrs


def best_first(study: Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The complete trials of a study of one value, the best one first."""
    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
    return sorted(complete(trials), key=lambda trial: (sign * (trial.value or 0), trial.number))


def complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that ended well, with numbers for values."""
    done = (trial for trial in trials if trial.state == TrialState.COMPLETE)
    return [trial for trial in done if all(map(math.isfinite, trial.values))]
