"""Forward-forward: each layer has a loss of its own, and no gradient passes between layers."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from encoders import Codes
from encoders._check import require
from learners._exclusive import one_at_a_time
from learners._hyperparameters import hyperparameter
from learners._nets.goodness import GoodnessNet
from learners._nets.losses import cross_entropy
from learners._nets.modules import Network
from learners._torch import WIDTHS, TorchLearner
from learners.optim import AdamW, Part

THETA: Final = {"mean": 2.0, "sum": 2.0, "reconstruction": 0.5}
ALPHA: Final = 4.0
NEGATIVES: Final = 4
PEER_WEIGHT: Final = 0.03


@dataclass(eq=False, repr=False)
class ForwardForward(TorchLearner):
    """Layers that each give high goodness to an example with its right label, and low goodness with a wrong one.

    The label c enters beside the codes z of the slots. With x₁ = (z(a), z(b)) and, above, xₗ = norm(hₗ₋₁):

    - hₗ = φ(Wₗ xₗ + Vₗ c), without biases; V only in the first layer with ``label="input"``;
    - gₗ = mean or sum of hₗ², or 1 − ‖xₗ − Wₗᵀ hₗ‖² / ‖xₗ‖² of codes and label (``goodness="reconstruction"``: how
      well an autoencoder with symmetric weights reconstructs the layer's input);
    - φ(x) = max(0, x), x², or max(0, x) of the k largest (k winners take all);
    - norm: none; "length", h / √(mean h² + ε); "layer", (h − mean h) / √(var h + ε), ε = 1e-6; "peer", length, and in
      every layer's loss ``peer_weight`` · mean over units of (their mean activity − the mean over units)², means of the
      batch with its right labels.

    Each layer has a loss of its own, of the goodness g⁺ of the right label and g⁻ of M wrong ones:

    - ``loss="threshold"``: log(1 + e^(θ − g⁺)) + mean log(1 + e^(g⁻ − θ));
    - ``loss="symba"``: mean log(1 + e^(−α (g⁺ − g⁻)));
    - ``loss="softmax"``: −log(e^(α g⁺) / (e^(α g⁺) + Σ e^(α g⁻))).

    The answer is the label of the highest Σₗ gₗ; probabilities are the softmax of α Σₗ gₗ. The gradient of a layer's
    loss with respect to the weights of any other layer is zero: its input is a constant. (Hard
    negatives are drawn by all layers together.)

    Source: Hinton 2022, "The Forward-Forward Algorithm" (arXiv 2212.13345): goodness, threshold, label beside the
    input, length and peer normalisation; Lee and Song 2023, "SymBa" (arXiv 2303.08418). Quadratic activations after
    Gromov 2023 (arXiv 2301.02679), k winners after Makhzani and Frey 2013 (arXiv 1312.5663), layer normalisation after
    Ba et al. 2016 (arXiv 1607.06450). The softmax over labels is from this project.

    NOTE: Hinton sums the goodness of all layers but the first; here of all, so that one layer can answer. His hard
    negatives come from a learned softmax, his peer normalisation from running means; here both use the batch.

    NOTE: Adam's steps do not scale with the gradient, and the goodness of squared units is of the fourth order in the
    codes: codes of greater norm learn faster for any initial scale.

    :param depth: L layers.
    :param width: D units of each.
    :param tied: one map for all slots.
    :param label: "input", or "every": each layer has rows V for the label.
    :param goodness: "mean" or "sum" of squares, or "reconstruction". A sum is D means: with SymBa and softmax it is
        exactly a mean with D times the α.
    :param theta: θ > 0 of the threshold; None takes 2, of a reconstruction 0.5.
    :param alpha: α > 0 of SymBa and softmax; None takes 4. With the threshold it is 1.
    :param negatives: "random" wrong labels (the same may come twice), "hard" ones (different ones, drawn with
        probability ∝ e^(α Σ g) over all layers), or "all"; None takes all for softmax, else random.
    :param n_negatives: M of random and hard negatives, fewer than there are classes; None takes 4.
    :param norm: between layers: "none", "length", "layer" or "peer"; of "peer" one layer has the term in its loss.
    :param peer_weight: of the peer term, > 0; None takes 0.03.
    :param activation: φ: "relu", "quadratic" or "k-wta".
    :param k: winners, in [1, width], with "k-wta".
    :param init_scale: standard deviation of the entries of an embedded code and of V at the start. Matrices
        between layers start as U(±1/√D).
    :param loss: of each layer: "threshold", "symba" or "softmax".
    :raises ValueError: for a parameter out of range, or one that the others leave without effect.

    >>> X, y = np.eye(4)[[0, 1, 2, 3] * 4], [0, 1, 1, 0] * 4
    >>> ForwardForward(width=32, steps=200, random_state=0).fit(X, y).score(X, y)
    1.0
    """

    version = 1
    precisions = ("float32",)  # one layer has hardly a product that other arithmetic would speed up
    example: ClassVar = {"width": 32, "steps": 20, "random_state": 0}

    depth: int = 1
    width: int = 256
    tied: bool = True
    label: Literal["input", "every"] = "input"
    goodness: Literal["mean", "sum", "reconstruction"] = "mean"
    theta: float | None = hyperparameter(None, above=0)
    alpha: float | None = hyperparameter(None, above=0)
    negatives: Literal["random", "hard", "all"] | None = None
    n_negatives: int | None = None
    norm: Literal["none", "length", "layer", "peer"] = "length"
    peer_weight: float | None = hyperparameter(None, above=0)
    activation: Literal["relu", "quadratic", "k-wta"] = "quadratic"
    k: int | None = None
    init_scale: float = hyperparameter(0.1, above=0, role="start")
    _: KW_ONLY
    loss: Literal["threshold", "symba", "softmax"] = "symba"  # type: ignore[assignment]
    steps: int = 4000

    @classmethod
    def default_optimizer(cls) -> list[Part]:
        """AdamW with large steps and weaker decay."""
        return [AdamW(lr=0.01, weight_decay=0.5)]

    @classmethod
    def forum(cls, depth: int = 1, **changes: Any) -> Self:
        """The HTM forum's attempt: autoencoders with symmetric weights and k winners, a map of its own for each slot.

        There is no public source. The sizes, and the goodness as the quality of reconstruction, are our interpretation.
        """
        preset: dict[str, Any] = {
            "depth": depth,
            "width": 400,
            "tied": False,
            "goodness": "reconstruction",
            "loss": "threshold",
            "activation": "k-wta",
            "k": 40,
            "n_negatives": 1,
            "optimizer": AdamW(lr=0.01, weight_decay=0.0),
        }
        return cls(**(preset | changes))

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Width, activation, scale of the start."""
        return {
            "width": trial.suggest_categorical("width", WIDTHS),
            "activation": trial.suggest_categorical("activation", ["relu", "quadratic"]),
            "init_scale": trial.suggest_float("init_scale", 0.03, 1.0, log=True),
        }

    def check_own(self) -> None:
        """No setting that the others leave without effect."""
        self._check_contrast()
        self._check_depth()
        sparse = self.activation == "k-wta"
        require(self, "k", (self.k is not None) is sparse, "given with activation='k-wta', only")
        require(self, "k", self.k is None or self.k <= self.width, f"in [1, width={self.width}]")

    def _check_contrast(self) -> None:
        """Rules of the layers' loss and its negatives."""
        bounded = self.loss == "threshold"
        require(self, "theta", bounded or self.theta is None, f"None with loss={self.loss!r}")
        require(self, "alpha", not bounded or self.alpha is None, "None with loss='threshold'")
        if self.goodness == "reconstruction" and self.theta is not None:
            require(self, "theta", self.theta < 1, "below 1 with goodness='reconstruction', which is at most 1")
        counted = self.resolved_negatives != "all" or self.n_negatives is None
        require(self, "n_negatives", counted, "None with all negatives")

    def _check_depth(self) -> None:
        """Rules of settings that need several layers."""
        several = self.depth > 1
        require(self, "norm", several or self.norm in ("length", "peer"), "'length' or 'peer' with depth=1")
        require(self, "peer_weight", self.peer_weight is None or self.norm == "peer", "None without norm='peer'")
        require(self, "label", several or self.label == "input", "'input' with depth=1")

    def check_codes(self, codes: Codes, n_classes: int) -> None:
        """There must be enough wrong labels to draw from."""
        wanted = 1 if self.n_negatives is None else self.n_negatives
        require(self, "n_negatives", wanted < max(2, n_classes), f"below the number of classes, {n_classes}")

    @property
    def has_hidden_matrices(self) -> bool:
        """Whether there is a second layer."""
        return self.depth > 1

    @property
    def resolved_negatives(self) -> str:
        """The kind of negatives, where None is resolved."""
        return self.negatives or ("all" if self.loss == "softmax" else "random")

    @property
    def scale(self) -> float:
        """θ or α, whichever the loss has."""
        given, usual = (self.theta, THETA[self.goodness]) if self.loss == "threshold" else (self.alpha, ALPHA)
        return usual if given is None else given

    @property
    def sharpness(self) -> float:
        """The α of hard negatives and of probabilities."""
        return 1.0 if self.loss == "threshold" else self.scale

    @property
    def noisy(self) -> bool:
        """Whether negatives are drawn at random."""
        return self.resolved_negatives != "all"

    def network(self, n_slots: int, n_features: int, n_classes: int) -> Network:
        """The module of one replica."""
        return GoodnessNet(
            n_slots,
            n_features,
            n_classes,
            depth=self.depth,
            width=self.width,
            tied=self.tied,
            labels_everywhere=self.label == "every",
            goodness=self.goodness,
            contrast=self.loss,
            scale=self.scale,
            negatives=self.resolved_negatives,
            n_negatives=NEGATIVES if self.n_negatives is None else self.n_negatives,
            sharpness=self.sharpness,
            norm=self.norm,
            peer_weight=PEER_WEIGHT if self.peer_weight is None else self.peer_weight,
            activation=self.activation,
            k=self.k,
            init_scale=self.init_scale,
        )

    def example_losses(self, scores: Tensor, y: Tensor) -> Tensor:
        """−log softmax(α Σ g) at the answer, whatever the loss of a layer is."""
        return cross_entropy(self.sharpness * scores, y)

    @one_at_a_time
    def predict_proba(self, X: ArrayLike | Codes) -> NDArray[np.floating]:
        """Probabilities (N, C): softmax(α Σ g)."""
        return F.softmax(self.sharpness * torch.as_tensor(self.scores(X)), dim=-1).numpy()
