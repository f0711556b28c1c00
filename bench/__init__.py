"""The benchmark: which encoder and which learner generalize, from how little data, in how few steps, at what cost.

The command line is ``python -m bench``; the same from Python:

>>> import bench
>>> [record] = bench.run(encoder="onehot", learner="ridge", modulus=11, results=None)
>>> record["status"], record["spec"]["protocol"]
('done', 'unordered')
"""

from importlib import import_module
from typing import Any

__all__ = ["plan", "plan_sweep", "plan_tune", "rank", "rerun", "run", "sweep", "tune"]


def __getattr__(name: str) -> Any:
    # Nothing heavy is imported before it is needed: `python -m bench --help` passes through here.
    if name in __all__:
        where = {"rank": "bench.ranking", "sweep": "bench.sweeps", "plan_sweep": "bench.sweeps"}
        where |= {"tune": "bench.tunes", "plan_tune": "bench.tunes"}
        return getattr(import_module(where.get(name, "bench.api")), name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
