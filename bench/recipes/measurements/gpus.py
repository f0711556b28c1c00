"""How much faster is one sweep on several GPUs of a machine than on fewer?

    python -m bench.recipes.measurements.gpus 4 4 1 [--steps 12000] [--seeds 64] [--precision bfloat16]

Runs the same sweep, 16 configurations of the transformer, on these numbers of GPUs, one after the other, each into a
folder of its own. The first run compiles the programs, which later ones find on disk: compare the later ones. There is
a line for each run, with the seconds of the command, those of its worker processes by purpose, and a digest of all
curves: equal digests are equal results, digit for digit.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from typing import Any

from bench.executors import count_gpus, isolated_environment
from bench.recipes.measurements._study import parser_of, tell
from bench.results import Record, Store, many

PURPOSES = ("train", "evaluate", "compile", "probes", "harness")


def command(options: argparse.Namespace, results: str) -> list[str]:
    """The command line of the sweep."""
    varied = ("adamw.lr=0.0005,0.001,0.002,0.004", "adamw.weight_decay=0.25,0.5,1,2")
    return [
        *(sys.executable, "-m", "bench", "sweep", "--encoder", "onehot", "--learner", "transformer"),
        *(part for one in varied for part in ("--vary", one)),
        *("--precision", options.precision, "--steps", str(options.steps), "--seeds", str(options.seeds)),
        *("--device", "cuda", "--results", results, "--quiet"),
    ]


def environment(count: int) -> dict[str, str]:
    """The environment of a process that sees the first ``count`` of the GPUs that this one sees."""
    seen = [isolated_environment(f"cuda:{i}")["CUDA_VISIBLE_DEVICES"] for i in range(count)]
    return os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(seen)}


def measure(count: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run the sweep on so many GPUs."""
    with tempfile.TemporaryDirectory(prefix="mod97-") as folder:
        start = time.perf_counter()
        subprocess.run(
            command(options, folder), env=environment(count), check=True, stdout=subprocess.DEVNULL, cwd=os.getcwd()
        )
        wall = time.perf_counter() - start
        return {"gpus": count, "seconds": round(wall, 1), **summary(Store(folder).records())}


def summary(records: Iterable[Record]) -> dict[str, Any]:
    """The number of cells that are done, seconds of worker processes by purpose, and a digest of the curves."""
    known: list[Mapping[str, Any]] = list(records)
    curves = {record["id"]: record["curve"] for record in known}
    return {
        "cells": sum(record["status"] == "done" for record in known),
        "worker_seconds": {p: round(sum(record["seconds"][p] for record in known), 1) for p in PURPOSES},
        "curves": hashlib.sha256(json.dumps(curves, sort_keys=True).encode()).hexdigest()[:16],
    }


def main() -> None:
    """Measure and print."""
    parser = parser_of(
        "gpus",
        __doc__,
        steps=(12_000, "of each cell"),
        seeds=(64, "of each of the 16 configurations"),
        precision=("bfloat16", "arithmetic of the training"),
    )
    parser.add_argument("counts", nargs="+", type=int, metavar="N", help="how many GPUs, for each run")
    options = parser.parse_args()
    here = count_gpus()
    for count in options.counts:
        if not 1 <= count <= here:
            parser.error(f"N must be a number of the GPUs that are here, {here or 'none'}, got {count}.")
    tell(
        f"{many(len(options.counts), 'sweep')} of {16 * options.seeds:,} cells of {options.steps:,} steps, each timed "
        "in a folder of its own that is deleted afterwards. 1,024 cells of 40,000 steps took 235 s on four H200s and "
        "881 s on one."
    )
    try:
        for number, count in enumerate(options.counts):
            tell(f"Sweep {number + 1} of {len(options.counts)}, on {many(count, 'GPU')}.")
            print(json.dumps(measure(count, options)), flush=True)
    except subprocess.CalledProcessError as error:
        parser.exit(1, f"The sweep ended with the exit code {error.returncode}: its messages are above.\n")


if __name__ == "__main__":
    main()
