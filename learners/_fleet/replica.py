"""What the fleet asks of a learner: a module, a loss and an optimizer for one replica."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from learners._base import Learner
from learners._nets.modules import Network
from learners.optim import Transformation


class FleetLearner(Learner):
    """A learner that can train as one replica of a fleet.

    The fleet trains the module, and hands the weights back: ``model_`` holds them by name, ``n_slots_`` the number of
    slots of the codes.
    """

    model_: dict[str, NDArray[np.float32]]
    n_slots_: int
    weight_noise: float
    """Deviation of the noise on every weight in training; 0 for none."""

    @abstractmethod
    def network(self, n_slots: int, n_features: int, n_classes: int) -> Network:
        """The module of one replica, its weights not drawn yet."""

    @abstractmethod
    def example_losses(self, scores: Tensor, y: Tensor) -> Tensor:
        """The loss of each example, (…), from scores (…, C) and classes (…)."""

    @abstractmethod
    def transformation(self, network: Network) -> Transformation:
        """How gradients become updates."""

    @abstractmethod
    def hyper(self) -> dict[str, float]:
        """Numbers that may differ from replica to replica, by the names that transformations use."""

    @abstractmethod
    def start(self) -> tuple[Any, ...]:
        """What decides the first weights beside the seed and the structure."""

    @abstractmethod
    def seed(self) -> int:
        """One integer from which all randomness of a replica is derived."""

    @abstractmethod
    def resolved_batch(self, n_train: int) -> int:
        """Examples of one update."""

    @property
    @abstractmethod
    def noisy(self) -> bool:
        """Whether the module draws random numbers in training."""
