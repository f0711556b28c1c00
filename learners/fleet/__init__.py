"""The fleet's face: what the benchmark uses of torch learners beside their training.

Plugins are modules. This is a package, as `learners.optim` is, and therefore not listed as a learner.

>>> from learners import Quadratic
>>> isinstance(Quadratic(), TorchLearner)
True
"""

from learners._exclusive import own_defaults
from learners._fleet.cache_folder import keep_programs
from learners._fleet.training import FleetTraining
from learners._kernels.products import matmul, tensor_cores
from learners._nets.modules import ACTIVATIONS, Network, Noise
from learners._torch import TorchLearner
from learners._torch_internals import load_compiler

__all__ = [
    "ACTIVATIONS",
    "FleetTraining",
    "Network",
    "Noise",
    "TorchLearner",
    "keep_programs",
    "load_compiler",
    "matmul",
    "own_defaults",
    "tensor_cores",
]
