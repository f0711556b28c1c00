"""AdamW, GrokFast, Muon and OrthoGrad for the transformer on a + b mod 97, each tuned by the same rule.

    python -m bench.recipes.measurements.optimizers ARM …|all [--fractions 0.5 0.3] [--trials 64] [--search 1]

Every arm is one study of `bench tune`, with the space that the transformer suggests (step size, decay, β₂, warm-up), a
wider range of step sizes, and whatever parameters the arm adds. All are tested on the same vault, and the winners'
fresh seeds are the same. Steps are first crossings of 99 % of the vault's pairs; a seed that does not reach it counts
as the slowest. Without an arm the arms are listed with what they cost. The winners' records are kept in the results
folder: `python -m bench rank --results DIR` gives intervals.
"""

import argparse
import time
from functools import partial
from typing import Any

from bench import tune
from bench.recipes.measurements._study import chosen, crossing, measure_each, parser_of, tell, timed
from bench.results import about, duration

RATES = "3e-4..3e-2:log"
FILTER = {"learner.grokfast_lamb": "0.1..10:log"}
ARMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "adamw": ({"learner.lr": RATES}, {}),
    "grokfast-ema": (
        {"learner.lr": RATES, "learner.grokfast_alpha": "0.8..0.99"} | FILTER,
        {"learner.grokfast": "ema"},
    ),
    "grokfast-ma": (
        {"learner.lr": RATES, "learner.grokfast_window": (20, 100)} | FILTER,
        {"learner.grokfast": "ma"},
    ),
    "muon": (
        {"learner.lr": "1e-3..1e-1:log", "learner.muon_rest_lr": RATES, "learner.momentum": "0.8..0.99"},
        {"learner.optimizer": "muon"},
    ),
    "orthograd": ({"learner.lr": RATES}, {"learner.orthograd": True}),
}
"""The space beside the transformer's own, and the settings that are fixed."""

STEPS = {0.5: 1_500, 0.3: 5_000}
"""Budget of a cell, by the share of the pairs that train."""
LONGEST = 5_000
"""Budget at any other share."""
H200 = 10_000
"""Steps a second of 64 replicas on an H200, roughly: 256 made 20,000 in bfloat16 (docs/results/speed.md)."""
CORE = 0.13
"""Seconds of a step on one core of an Intel Xeon."""
REQUEST = {"encoder": "onehot", "learner": "transformer", "pairs": "grouped", "vault_seed": 1}


def measure(arm: str, fraction: float, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Tune one arm at one fraction, or continue its study; raise KeyboardInterrupt where it was interrupted."""
    space, fix = ARMS[arm]
    start = time.perf_counter()
    done = tune(
        **REQUEST,
        space=space,
        fix=fix,
        train_fraction=fraction,
        steps=STEPS.get(fraction, LONGEST),
        trials=options.trials,
        seeds=options.seeds,
        fresh=options.fresh,
        at_once=options.round,
        precision=options.precision,
        device=options.device,
        results=options.results,
        study=f"{arm} {100 * fraction:g}%" + (f" #{options.search}" if options.search > 1 else ""),
        say=timed(),
    )
    if not done.whole:
        raise KeyboardInterrupt
    return [
        {
            "arm": arm,
            "fraction": fraction,
            "search": options.search,
            "trials": done.trials,
            "winner": done.best and done.best["params"],
            "validation": done.best and done.best["value"],
            "test_95": crossing(done.cells, "test", "0.95"),
            "test_99": crossing(done.cells, "test", "0.99"),
            "final_test": [round(cell["final"]["test_accuracy"] or 0.0, 4) for cell in done.cells],
            "status": sorted({cell["status"] for cell in done.cells}),
            "flops": done.cost["flops"],
            "cell_seconds": done.cost["seconds"],
            "wall_seconds": time.perf_counter() - start,
        }
    ]


def _described(arm: str, options: argparse.Namespace) -> str:
    """The search of an arm, and its cost at most."""
    space, fix = ARMS[arm]
    settings = ", ".join([*(f"{k} {v}" for k, v in space.items()), *(f"{k}={v}" for k, v in fix.items())])
    trainings = options.trials * options.seeds + options.fresh
    longest = max(STEPS.get(fraction, LONGEST) for fraction in options.fractions)
    steps = trainings * longest
    cost = f"{about(steps / H200)} on an H200, {duration(steps * CORE)} of CPU cores at most"
    return f"{trainings:,} trainings of up to {longest:,} steps, {cost}; searches {settings}"


def main() -> None:
    """Tune and print."""
    parser = parser_of(
        "optimizers",
        __doc__,
        trials=(64, "of each arm at each fraction"),
        seeds=(4, "of each trial"),
        fresh=(20, "seeds of each winner"),
        round=(16, "trials asked for at a time"),
        search=(1, "number of the search: the same with other draws"),
        precision=("bfloat16", "arithmetic of the training"),
        device=("auto", "where to train"),
        results=("results", "folder of winners' records and of the studies"),
    )
    parser.add_argument("arms", nargs="*", metavar="ARM", help=f"some of {', '.join(ARMS)}, or all")
    parser.add_argument(
        "--fractions", type=float, nargs="+", default=list(STEPS), help="shares of the pairs that train"
    )
    options = parser.parse_args()
    arms = chosen(parser, "ARM", options.arms, {name: partial(_described, name, options) for name in ARMS})
    if options.search < 1:
        parser.error(f"--search must be an integer ≥ 1, got {options.search}.")
    searches = {f"{arm} at {100 * fraction:g} %": (arm, fraction) for fraction in options.fractions for arm in arms}
    tell(f"{len(searches)} searches; the studies and the winners' records are kept in {options.results}.")
    described = {name: partial(_described, arm, options) for name, (arm, _) in searches.items()}
    measure_each(parser, "Search", described, lambda name: measure(*searches[name], options))


if __name__ == "__main__":
    main()
