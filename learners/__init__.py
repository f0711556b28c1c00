"""Learners: from codes to classes, as ordinary scikit-learn classifiers that can also be trained step by step.

A public module of this package holds one learner, the class that the module is named after: ``learners.mlp`` holds
``MLP``. Every class can be imported from here; its module is loaded on first use.

>>> from learners import Ridge
>>> Ridge().fit([[0.0], [1.0], [2.0]], ["low", "low", "high"]).predict([[2.5]]).tolist()
['high']
"""

from typing import TYPE_CHECKING

from encoders._plugins import lazy
from learners._base import Learner, Look, Setting, Training
from learners._closed_form import ClosedForm
from learners._problem import Problem

if TYPE_CHECKING:  # one line for each class, so that type checkers and editors see its signature
    from learners.forward_forward import ForwardForward as ForwardForward
    from learners.kan import KAN as KAN
    from learners.knn import KNN as KNN
    from learners.linear_floor import LinearFloor as LinearFloor
    from learners.mlp import MLP as MLP
    from learners.quadratic import Quadratic as Quadratic
    from learners.rfm import RFM as RFM
    from learners.ridge import Ridge as Ridge
    from learners.torch_mlp import TorchMLP as TorchMLP
    from learners.transformer import Transformer as Transformer

__all__ = ["ClosedForm", "Learner", "Look", "Problem", "Setting", "Training"]

__getattr__, __dir__ = lazy(__name__, __path__, __all__)
