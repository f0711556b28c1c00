"""The fields of a request to tune. Imports nothing heavy, since command lines are made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.specs import VAULT, Request, option, options

FRESH = 5
"""Fresh seeds of the winner, unless a request asks for others."""
SAMPLERS = ("tpe", "random", "gp", "cmaes", "nsgaii")
RUNS_ONLY = ("seeds", "seed", "split_seed", "stop_when_solved")
"""Fields of `bench.specs.Request` that a request to tune does not have, or has with another meaning."""
SHARED = tuple(name for name in options(Request) if name not in RUNS_ONLY)
"""Fields of `bench.specs.Request` that a request to tune has too."""
SEARCHED = ("encoder", "optimizer", "combine", "sdr", "train_fraction")
"""Those of them that may be several values, which are a choice."""
LIMITS = ("steps", "epochs", "seconds")
"""Those of them that limit the budget of a cell."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How to search.

    A trial whose whole budget does not fit into what is left of ``compute`` is not begun, and eight such in a row end
    the search. What died with its process is not counted. A later call may ask for more trials or compute; one that
    asks for less goes by what was asked before.

    :param space: ranges and choices by name: ``{"adamw.lr": "1e-4..1e-1:log", "encoder.base": [2, 10]}``.
    :param fix: parameters held at one value.
    """

    trials: int | None = option("Stop after so many trials, of all processes together.", parse=int)
    compute: float | None = option(
        "Stop after so many FLOPs of training; with `trials`, after whichever is first.", parse=float, metavar="FLOPS"
    )
    objective: str = option(
        "Steps to 99 %, accuracy at the budget, FLOPs, training pairs; two with a comma, of which the first names the "
        "winner.",
        default="steps",
        metavar="steps|accuracy|cost|data",
        words=("steps", "accuracy", "accuracy,cost", "accuracy,data"),
    )
    sampler: str | None = option(
        "How settings are drawn.", words=SAMPLERS, default_text="tpe; nsgaii for two objectives"
    )
    space: Mapping[str, Any] | None = None
    fix: Mapping[str, Any] | None = None
    vault: float = option("Share of the pairs for the winner alone.", default=VAULT, parse=float, share=True)
    vault_seed: int | None = option("Which pairs.", parse=int, default_text="from the task and its pairs")
    seeds: int = option("Seeds of each trial.", default=1, parse=int)
    first_seed: int = option(
        "First seed of the trials, which the winner's fresh seeds follow: searches of other seeds are independent.",
        default=0,
        parse=int,
    )
    fresh: int = option("Fresh seeds of the winner; 0: vault closed.", default=FRESH, parse=int)
    at_once: int | None = option(
        "Trials asked for at a time, which train side by side.",
        parse=int,
        flag="--round",
        default_text="32 on a GPU, 8 on a CPU",
    )
    storage: str | None = option(
        "journal:///PATH, or a database.", metavar="URL", default_text="studies.journal beside the records"
    )
    study: str | None = option("The study's name.", metavar="NAME", default_text="what it tunes")
