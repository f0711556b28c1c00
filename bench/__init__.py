"""The benchmark: which encoder and which learner generalize, from how little data, in how few steps, at what cost.

The command line is ``python -m bench``; the same from Python:

>>> import bench
>>> [record] = bench.run(encoder="onehot", learner="ridge", modulus=11, results=None)
>>> record["status"], record["spec"]["protocol"]
('done', 'unordered')
"""

import os
from importlib import import_module
from typing import Any

__all__ = ["plan", "plan_sweep", "plan_tune", "rank", "rerun", "run", "sweep", "tune"]


if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    # A thread that waits for another one spins, by default for as long as a busy machine takes to let the other one on:
    # of one seed of `quadratic` beside two busy processes a step took 44 ms, with this 9 ms; 3 ms in either case on an
    # idle one (two cores of an AMD EPYC). OpenMP reads it once, when PyTorch is imported.
    os.environ["GOMP_SPINCOUNT"] = "10000"


def __getattr__(name: str) -> Any:
    # Nothing heavy is imported before it is needed: `python -m bench --help` passes through here.
    if name in __all__:
        where = {
            "rank": "bench.ranking.league",
            "rerun": "bench.scheduling.rerun",
            "sweep": "bench.scheduling.sweep",
            "plan_sweep": "bench.scheduling.planner",
        }
        where |= {"plan": "bench.scheduling.planner", "tune": "bench.tuning.tune", "plan_tune": "bench.tuning.request"}
        return getattr(import_module(where.get(name, "bench.scheduling.run")), name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
