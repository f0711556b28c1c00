"""How much faster is a search whose trials train side by side than one that trains one replica at a time?

    python -m bench.recipes.measurements.search_speed [--trials 256] [--seeds 8] [--steps 1500] …

Three whole searches by the same rule, one after the other. The first asks for as many trials at a time as `bench tune`
does by default, each of so many seeds, and compiles its programs unless an earlier command has; the second is the same
again, and finds the programs on disk. The third trains one seed of one trial after the other, and is timed from its
second trial on, when its program is compiled. Seconds are those from the start of the first trial to the end of the
last. Trainings differ in length, since a trial ends once it is solved: the command prints the ratio of the times of a
training and that of the times of a step.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from typing import Any

import optuna

from bench import tune
from bench.errors import BenchError
from bench.recipes.measurements._study import message_of, parser_of, tell, timed
from bench.tuning import close_storage, open_storage


def figures(trials: Sequence[Any], seeds: int, warm: bool) -> dict[str, Any]:
    """Trainings, steps and seconds of a search.

    :param trials: Optuna's, in the order in which they began.
    :param warm: leave the first one out, which compiles the program.
    """
    counted = trials[1:] if warm else trials
    over = [trial for trial in counted if trial.state.is_finished()]
    trained = [trial for trial in over if "same_as" not in trial.user_attrs]
    seconds = (max(t.datetime_complete for t in over) - min(t.datetime_start for t in counted)).total_seconds()
    steps, trainings = sum(t.user_attrs.get("steps", 0) for t in trained), seeds * len(trained)
    return {
        "trials": len(counted),
        "failed": sum(trial.state == optuna.trial.TrialState.FAIL for trial in over),
        "trainings": trainings,
        "steps": steps,
        "seconds": round(seconds, 1),
        "seconds_a_training": seconds / trainings,
        "seconds_a_step": seconds / steps,
    }


def measure(options: argparse.Namespace, lone: bool) -> dict[str, Any]:
    """Run one search, of one replica at a time where ``lone``."""
    seeds = 1 if lone else options.seeds
    with tempfile.TemporaryDirectory(prefix="mod97-") as folder:
        done = tune(
            encoder="onehot",
            learner=options.learner,
            modulus=options.modulus,
            trials=options.trials,
            seeds=seeds,
            steps=options.steps,
            fresh=0,
            precision=options.precision,
            device=options.device,
            at_once=1 if lone else None,
            jobs=1 if lone else None,
            results=folder,
            say=timed(),
        )
        storage = open_storage(done.storage)
        try:
            trials = optuna.load_study(study_name=done.study, storage=storage).get_trials(deepcopy=False)
        finally:
            close_storage(storage)
    return figures(trials, seeds, warm=lone)


def main() -> None:
    """Measure and print."""
    parser = parser_of(
        "search_speed",
        __doc__,
        trials=(256, "of each search"),
        seeds=(8, "of a trial that trains beside others"),
        steps=(1_500, "budget of a training"),
        learner=("transformer", "what is tuned"),
        modulus=(97, "p of a + b mod p"),
        precision=("bfloat16", "arithmetic of the training"),
        device=("auto", "where to train"),
    )
    options = parser.parse_args()
    if options.trials < 3:
        parser.error(f"--trials must be an integer ≥ 3, got {options.trials}.")
    trials, seeds, steps = options.trials, options.seeds, options.steps
    tell(
        f"Three searches of {trials:,} trials of up to {steps:,} steps: two of {seeds} seeds each, "
        f"{trials * seeds * steps:,} steps at most, and one of a seed at a time, {trials * steps:,}. With the defaults "
        "about 6 minutes on an H200. The searches are timed, and nothing is kept but the lines on stdout."
    )
    try:
        rows: list[dict[str, Any]] = []
        for search, lone in (("first", False), ("again", False), ("one replica at a time", True)):
            tell(f"Search {len(rows) + 1} of 3, {search}:")
            rows.append(measure(options, lone))
            print(json.dumps({"search": search} | rows[-1]), flush=True)
    except BenchError as error:
        parser.error(message_of(error))
    *rounds, one = rows
    for name in ("seconds_a_training", "seconds_a_step"):
        first, again = (one[name] / side_by_side[name] for side_by_side in rounds)
        print(json.dumps({"one_at_a_time_over_side_by_side": name, "first": first, "again": again}))


if __name__ == "__main__":
    main()
