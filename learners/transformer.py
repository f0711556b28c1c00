"""A decoder-only transformer over code slots."""

from typing import Any, ClassVar, Literal

import numpy as np

from encoders import Codes
from encoders._check import require, require_choice, require_integer, require_number
from learners._nets.decoder import Decoder
from learners._nets.modules import ACTIVATIONS, Network
from learners._torch import TorchLearner


class Transformer(TorchLearner):
    """A causal transformer that reads the slots and answers at a read-out token.

    Tokens are the embedded codes of the slots and "=" (``layout="slots"``), or a ∘ b = (``layout="equation"``), plus
    positions. Each of L blocks is multi-head attention, softmax(q kᵀ/√d) v, and an MLP of ratio m:

    - ``norm="post"``: h ← LN(h + attn(h)); h ← LN(h + mlp(h)), as Power et al. do;
    - ``norm="pre"``: h ← h + attn(LN(h)); h ← h + mlp(LN(h)); LN before the read-out;
    - ``norm="residual"``: u = LN(h); h ← u + attn(u), likewise for the MLP; LN before the read-out: GrokFast's form;
    - ``norm="none"``.

    Scores are a linear map of the read-out token's last state. Size, optimizer, decay, warm-up and batch are Power et
    al.'s by default, and so are linear maps without biases.

    NOTE: Their code normalises behind the blocks, adds sinusoids and draws embeddings of unit scale. Weights that start
    small generalize far sooner: the defaults here are the usual small start (deviations of about 0.02) and LN in front.
    Theirs is ``norm="post"``, ``positions="sinusoidal"``, ``init_scale=1``, ``init_gain=1``.

    Source: Power et al. 2022 (arXiv 2201.02177) and its code; ``norm="residual"`` after the code of Lee et al. 2024
    (arXiv 2405.20233).

    :param depth: L blocks.
    :param width: D, of the residual stream.
    :param heads: attention heads; they divide D.
    :param mlp_ratio: m, hidden units of the MLP divided by D.
    :param activation: "relu", "gelu", "tanh", "quadratic" or "identity".
    :param norm: "post", "pre", "residual" or "none".
    :param bias: biases in all linear maps but the read-out.
    :param positions: "sinusoidal" (fixed) or "learned".
    :param layout: "slots" or "equation".
    :param tied: one embedding for all slots.
    :param tied_readout: the read-out is the transposed embedding; needs one-hot codes of the classes and tied slots.
    :param shared_blocks: one block's weights for all passes (weight-tied recursion).
    :param loops: passes through the blocks; more than one needs ``shared_blocks``.
    :param dropout: probability of dropping an output of attention or MLP, in [0, 1).
    :param init_scale: deviation of the entries of embedded codes, tokens and learned positions at the start.
    :param init_gain: factor on the start of all linear maps, U(±1/√in) as PyTorch draws them.
    :raises ValueError: for a parameter out of range, or heads that do not divide the width.

    >>> pairs = np.array([[a, b] for a in range(4) for b in range(4)])
    >>> X, y = np.eye(4)[pairs].reshape(16, 8), pairs[:, 0] ^ pairs[:, 1]
    >>> learner = Transformer(width=32, depth=1, lr=0.01, weight_decay=0.1, slots=2, steps=100, random_state=0)
    >>> learner.fit(X, y).score(X, y)
    1.0
    """

    version = 2
    starts = frozenset(["init_scale", "init_gain"])
    example: ClassVar = {
        "width": 16,
        "heads": 2,
        "depth": 1,
        "lr": 0.01,
        "weight_decay": 0.1,
        "steps": 60,
        "random_state": 0,
    }

    def __init__(
        self,
        depth: int = 2,
        width: int = 128,
        heads: int = 4,
        mlp_ratio: float = 4.0,
        activation: Literal["relu", "gelu", "tanh", "quadratic", "identity"] = "relu",
        norm: Literal["post", "pre", "residual", "none"] = "pre",
        bias: bool = False,
        positions: Literal["sinusoidal", "learned"] = "learned",
        layout: Literal["slots", "equation"] = "slots",
        tied: bool = True,
        tied_readout: bool = False,
        shared_blocks: bool = False,
        loops: int = 1,
        dropout: float = 0.0,
        init_scale: float = 0.02,
        init_gain: float = 0.5,
        *,
        loss: Literal["cross-entropy", "squared", "stablemax"] = "cross-entropy",
        optimizer: Literal["adam", "adamw", "sgd", "muon"] = "adamw",
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        momentum: float = 0.95,
        nesterov: bool = False,
        muon_rest_lr: float = 1e-3,
        muon_freeze: bool = False,
        weight_decay: float = 1.0,
        decay: Literal["decoupled", "coupled", "to-init"] | None = None,
        grokfast: Literal["none", "ema", "ma"] = "none",
        grokfast_alpha: float | None = None,
        grokfast_lamb: float | None = None,
        grokfast_window: int | None = None,
        orthograd: bool = False,
        gradient_noise: float = 0.0,
        weight_noise: float = 0.0,
        warmup: int = 10,
        schedule: Literal["constant", "cosine"] = "constant",
        decay_steps: int | None = None,
        batch_size: int | None = None,
        steps: int = 10_000,
        slots: int = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.depth = depth
        self.width = width
        self.heads = heads
        self.mlp_ratio = mlp_ratio
        self.activation = activation
        self.norm = norm
        self.bias = bias
        self.positions = positions
        self.layout = layout
        self.tied = tied
        self.tied_readout = tied_readout
        self.shared_blocks = shared_blocks
        self.loops = loops
        self.dropout = dropout
        self.init_scale = init_scale
        self.init_gain = init_gain
        super().__init__(
            loss=loss,
            optimizer=optimizer,
            lr=lr,
            betas=betas,
            eps=eps,
            momentum=momentum,
            nesterov=nesterov,
            muon_rest_lr=muon_rest_lr,
            muon_freeze=muon_freeze,
            weight_decay=weight_decay,
            decay=decay,
            grokfast=grokfast,
            grokfast_alpha=grokfast_alpha,
            grokfast_lamb=grokfast_lamb,
            grokfast_window=grokfast_window,
            orthograd=orthograd,
            gradient_noise=gradient_noise,
            weight_noise=weight_noise,
            warmup=warmup,
            schedule=schedule,
            decay_steps=decay_steps,
            batch_size=batch_size,
            steps=steps,
            slots=slots,
            random_state=random_state,
        )

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Step size, decay, β₂, warm-up."""
        return {
            "lr": trial.suggest_float("lr", 1e-4, 1e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-2, 10.0, log=True),
            "betas": (0.9, trial.suggest_float("beta2", 0.9, 0.999)),
            "warmup": trial.suggest_int("warmup", 1, 100, log=True),
        }

    def check_own(self) -> None:
        """Positive sizes, known names, heads that divide the width, loops of shared blocks."""
        for name in ("depth", "width", "heads", "loops"):
            require_integer(self, name)
        require_number(self, "mlp_ratio", above=0)
        require(self, "mlp_ratio", round(self.mlp_ratio * self.width) >= 1, "enough for one unit of the MLP")
        require_number(self, "init_scale", above=0)
        require_number(self, "init_gain", above=0)
        require_number(self, "dropout", at_least=0, below=1)
        require_choice(self, "activation", ACTIVATIONS)
        require_choice(self, "norm", ("post", "pre", "residual", "none"))
        require_choice(self, "positions", ("sinusoidal", "learned"))
        require_choice(self, "layout", ("slots", "equation"))
        require(self, "heads", self.width % self.heads == 0, f"a divisor of width={self.width}")
        require(self, "loops", self.loops == 1 or self.shared_blocks, "1 unless blocks are shared")
        several = self.depth > 1 or self.loops > 1
        self.require_effect("shared_blocks", several, "with a single block that is passed once")
        require(self, "tied_readout", not self.tied_readout or self.tied, "False unless slots are tied")

    def check_codes(self, codes: Codes, n_classes: int) -> None:
        """A tied read-out takes one-hot codes of the classes."""
        table = codes.table_UF
        onehot = table.shape == (n_classes, n_classes) and bool((table == np.eye(n_classes)).all())
        if self.tied_readout and not onehot:
            raise ValueError("The 'tied_readout' parameter of Transformer needs one-hot codes of the classes.")

    def default_batch(self, n_train: int) -> int:
        """Half of the training pairs, at most 512."""
        return min(512, -(-n_train // 2))

    def network(self, n_slots: int, n_features: int, n_classes: int) -> Network:
        """The module of one replica."""
        return Decoder(self, n_slots, n_features, n_classes)
