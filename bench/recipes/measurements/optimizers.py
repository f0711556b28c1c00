"""Optimizers for the transformer on a + b mod 97, each tuned by the same rule.

    python -m bench.recipes.measurements.optimizers ARM …|all [--fractions 0.5 0.3] [--trials 64] [--search 1]

Every arm is one study of `bench tune`, with the space that the parts of its optimizer suggest (a step size within a
factor of 10 of the usual one, decay, momenta, what a filter or constraint adds) and with warm-up, where its rule has
one. All are tested on the same vault, and the winners' fresh seeds are the same. Steps are first crossings of 99 % of
the vault's pairs; a seed that does not reach it counts as the slowest. Without an arm the arms are listed with what
they cost. The winners' records are kept in the results folder: `python -m bench rank --results DIR` gives intervals.
"""

import argparse
import time
from functools import partial
from typing import Any

from bench import tune
from bench.recipes.measurements._study import chosen, crossing, measure_each, parser_of, tell, timed
from bench.results import about, duration
from bench.specs import parts_of, registry

ARMS = (
    *("adamw", "adam", "sgd", "lion", "signsgd", "shampoo", "schedule-free-adamw", "prodigy", "muon"),
    *("grokfast-ema+adamw", "grokfast-ma+adamw", "orthograd+adamw", "egd+sgd", "gradient-normalization+adamw"),
    *("delayed-compression+adamw", "lion+row-clip", "muon+norm-cap", "muon+spectral-cap"),
)
"""Optimizers, by name."""
WARMUP = "1..100:log"
DECAYS = {"adam": "1e-4..1e-1:log", "sgd": "1e-5..1e-2:log"}
"""Of rules that have no decay as they come; theirs is in the gradient."""

STEPS = {0.5: 1_500, 0.3: 5_000}
"""Budget of a cell, by the share of the pairs that train."""
LONGEST = 5_000
"""Budget at any other share."""
H200 = 10_000
"""Steps a second of 64 replicas on an H200, roughly: 256 made 20,000 in bfloat16 (docs/results/speed.md)."""
CORE = 0.13
"""Seconds of a step on one core of an Intel Xeon."""
REQUEST: dict[str, Any] = {"encoder": "onehot", "learner": "transformer", "pairs": "grouped", "vault_seed": 1}


def space_of(arm: str) -> dict[str, str]:
    """What is searched beside what the parts suggest: warm-up, and decay where a rule comes without."""
    parts = parts_of(registry.learner(REQUEST["learner"]), arm)
    warmups = {f"{name}.warmup": WARMUP for name, part in parts.items() if hasattr(part, "warmup")}
    return warmups | {f"{name}.weight_decay": DECAYS[name] for name in parts if name in DECAYS}


def measure(arm: str, fraction: float, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Tune one arm at one fraction, or continue its study; raise KeyboardInterrupt where it was interrupted."""
    start = time.perf_counter()
    done = tune(
        **REQUEST,
        optimizer=arm,
        space=space_of(arm),
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
    trainings = options.trials * options.seeds + options.fresh
    longest = max(STEPS.get(fraction, LONGEST) for fraction in options.fractions)
    steps = trainings * longest
    cost = f"{about(steps / H200)} on an H200, {duration(steps * CORE)} of CPU cores at most"
    return f"{trainings:,} trainings of up to {longest:,} steps, {cost}"


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
