"""Optimizers as chains of parts: filters of the gradient, one rule, constraints on the step.

A public module of this package holds one part, the class that the module is named after: ``grokfast_ema`` holds
``GrokFastEMA``. Every class can be imported from here; its module is loaded on first use. A part is a configuration;
`Part.transformation` makes of it pure functions of tensors that carry all replicas.

>>> from learners import TorchMLP
>>> from learners.optim import AdamW, GrokFastEMA
>>> TorchMLP(optimizer=[GrokFastEMA(lamb=5.0), AdamW(lr=0.01)]).get_params()["optimizer__adamw__lr"]
0.01
"""

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
