"""The benchmark: which encoder and which learner generalize, from how little data, in how few steps, at what cost.

The command line is ``python -m bench``; the same from Python:

>>> import bench
>>> [record] = bench.run(encoder="onehot", learner="ridge", modulus=11, results=None)
>>> record["status"], record["spec"]["protocol"]
('done', 'unordered')
"""

import os
from importlib import import_module

TYPE_CHECKING = False  # as `typing` has it, in whose place a file of the user may stand: see `bench.cli`
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    *("export", "load", "pack", "plan", "plan_sweep", "plan_tune", "plot", "publish", "rank"),
    *("report", "reproduce", "rerun", "run", "show", "status", "sweep", "tune"),
]

HOMES = {
    **dict.fromkeys(("plan", "plan_sweep"), "bench.scheduling.planner"),
    "reproduce": "bench.recipes.reproduce",
    "rerun": "bench.scheduling.rerun",
    "status": "bench.results.leases",
    "rank": "bench.ranking.league",
    "pack": "bench.results.packs.write",
    "export": "bench.results.exports.request",
    "load": "bench.results.frames",
    "plan_tune": "bench.tuning.request",
    "plot": "bench.showing.pictures",
    "publish": "bench.showing.site",
    "show": "bench.showing.record",
    "report": "bench.showing.pages",
    "tune": "bench.tuning.tune",
}


if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    # By default, a thread that waits for another one spins for so long that a busy machine cannot run the other one.
    # Beside two busy processes, a step of one seed of `quadratic` took 44 ms by default and 9 ms with this value; on an
    # idle machine 3 ms in both cases (two cores of an AMD EPYC). OpenMP reads it once, when PyTorch is imported.
    os.environ["GOMP_SPINCOUNT"] = "10000"


def __getattr__(name: str) -> "Any":
    # Nothing heavy is imported before it is needed: `python -m bench --help` passes through here.
    if name in __all__:
        return getattr(import_module(HOMES.get(name, "bench.scheduling.run")), name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
