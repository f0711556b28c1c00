"""Weight decay that sets in late: memorize first, compress afterwards."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from learners._hyperparameters import hyperparameter
from learners._nets.modules import Network
from learners.optim._core import Context, Gradients, Transformation, per_replica, stateless, where_matrix
from learners.optim._part import Filter


@dataclass(kw_only=True, eq=False, repr=False)
class DelayedCompression(Filter):
    """Adds λ Σ ‖W‖² over all matrices to the loss once training has gone on for some steps.

    u = g for the first T steps, and in every step in which the batch's loss is ``while_below`` or more; u = g + 2 λ w
    in the others. It is a filter since the penalty is part of the gradient, as in the source: the rule rescales it. The
    source's rule is Adam without decay of its own.

    NOTE: the source has λ = 0.01, only while training accuracy is 99 % or more, and on gains of normalization layers,
    too. An optimizer sees the loss of a batch and no accuracy: ``while_below=0.1`` comes near to it. Where nothing
    lifts the penalty again λ = 0.01 shrinks all weights to zero, and λ = 0.001 does not (measured on a + b mod 31 with
    `learners.Quadratic` and a perceptron of 128, 128 units, 800 steps).

    Source: vuciv 2025, "Delayed Compression: Faster Grokking via Frobenius Regularization After Overfitting"
    (github.com/vuciv/grokfast).

    Published claim: 95 % after 720 (+), 1,040 (−), 710 (·) and 980 (/) steps mod 97, single seeds (the same source).

    :param lamb: λ ≥ 0.
    :param delay: T ≥ 0, in steps.
    :param while_below: no penalty in steps whose batch has this loss or more, > 0; None: the loss does not matter.
    """

    later_parameters: ClassVar[frozenset[str]] = frozenset({"while_below"})
    example: ClassVar = {"delay": 3}

    lamb: float = hyperparameter(1e-3, at_least=0, role="replica")
    delay: int = hyperparameter(200, at_least=0, role="replica")
    while_below: float | None = hyperparameter(None, above=0)

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Strength and delay."""
        lamb = trial.suggest_float("lamb", 1e-4, 0.1, log=True)
        return {"lamb": lamb, "delay": trial.suggest_int("delay", 10, 2000, log=True)}

    def transformation(self, network: Network) -> Transformation:
        """For all matrices."""

        def update(grads: Gradients, context: Context) -> Gradients:
            penalized = context.step >= context.hyper["delay"]
            if self.while_below is not None:
                if context.loss is None:
                    raise ValueError("while_below needs the loss of the batch, which this context does not have.")
                penalized = penalized & (context.loss < self.while_below)
            gain = 2 * context.hyper["lamb"] * penalized
            return {name: torch.addcmul(g, per_replica(gain, g), context.params[name]) for name, g in grads.items()}

        return where_matrix(stateless(update))
