"""Optimizers as chains of parts: filters of the gradient, one rule, constraints on the step.

A public module of this package holds one part, the class that the module is named after: ``grokfast_ema`` holds
``GrokFastEMA``. Every class can be imported from here; its module is loaded on first use. A part is a configuration;
`Part.transformation` makes of it pure functions of tensors that carry all replicas.

>>> from learners import TorchMLP
>>> from learners.optim import AdamW, GrokFastEMA
>>> TorchMLP(optimizer=[GrokFastEMA(lamb=5.0), AdamW(lr=0.01)]).get_params()["optimizer__adamw__lr"]
0.01
"""

from typing import TYPE_CHECKING

from encoders._plugins import lazy
from learners._hyperparameters import hyperparameter
from learners.optim._chain import check_chain, check_order, hyper_of, part_name, transformation_of
from learners.optim._core import (
    Context,
    Gradients,
    State,
    Transformation,
    chain,
    per_replica,
    stateless,
    where_matrix,
    zeros_like,
)
from learners.optim._part import Constraint, Descent, Filter, Part, Rule

if TYPE_CHECKING:  # one line for each class, so that type checkers and editors see its signature
    from learners.optim.adam import Adam as Adam
    from learners.optim.adamw import AdamW as AdamW
    from learners.optim.delayed_compression import DelayedCompression as DelayedCompression
    from learners.optim.egd import EGD as EGD
    from learners.optim.gradient_noise import GradientNoise as GradientNoise
    from learners.optim.gradient_normalization import GradientNormalization as GradientNormalization
    from learners.optim.grokfast_ema import GrokFastEMA as GrokFastEMA
    from learners.optim.grokfast_ma import GrokFastMA as GrokFastMA
    from learners.optim.lion import Lion as Lion
    from learners.optim.muon import Muon as Muon
    from learners.optim.norm_cap import NormCap as NormCap
    from learners.optim.orthograd import OrthoGrad as OrthoGrad
    from learners.optim.prodigy import Prodigy as Prodigy
    from learners.optim.row_clip import RowClip as RowClip
    from learners.optim.schedule_free_adamw import ScheduleFreeAdamW as ScheduleFreeAdamW
    from learners.optim.sgd import SGD as SGD
    from learners.optim.shampoo import Shampoo as Shampoo
    from learners.optim.signsgd import SignSGD as SignSGD
    from learners.optim.spectral_cap import SpectralCap as SpectralCap
    from learners.optim.weight_noise import WeightNoise as WeightNoise

__all__ = [
    "Constraint",
    "Context",
    "Descent",
    "Filter",
    "Gradients",
    "Part",
    "Rule",
    "State",
    "Transformation",
    "chain",
    "check_chain",
    "check_order",
    "hyper_of",
    "hyperparameter",
    "part_name",
    "per_replica",
    "stateless",
    "transformation_of",
    "where_matrix",
    "zeros_like",
]

__getattr__, __dir__ = lazy(__name__, __path__, __all__)
