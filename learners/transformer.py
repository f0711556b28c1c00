"""A decoder-only transformer over code slots."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from encoders import Codes
from encoders._check import require
from learners._hyperparameters import hyperparameter
from learners._nets.decoder import Decoder
from learners._nets.modules import Activation, Network
from learners._nets.router import Routing
from learners._torch import TorchLearner
from learners.optim import AdamW


@dataclass(eq=False, repr=False)
class Transformer(TorchLearner):
    """A causal transformer that reads the slots and answers at a read-out token.

    Tokens are the embedded codes of the slots and "=" (``layout="slots"``), or a ∘ b = (``layout="equation"``), plus
    positions. Each of L blocks is multi-head attention, softmax(q kᵀ/√d) v, and an MLP of ratio m:

    - ``norm="post"``: h ← LN(h + attn(h)); h ← LN(h + mlp(h)), as Power et al. do;
    - ``norm="pre"``: h ← h + attn(LN(h)); h ← h + mlp(LN(h)); LN before the read-out;
    - ``norm="grokfast"``: u = LN(h); h ← u + attn(u); h ← h + mlp(LN(h)); LN before the read-out, as Lee et al. do;
    - ``norm="residual"``: u = LN(h); h ← u + attn(u); v = LN(h); h ← v + mlp(v); LN before the read-out;
    - ``norm="none"``.

    With a router the L blocks are a bank that all passes share, a mixture of experts over depth. In each pass the
    weights of the blocks are w = softmax(W h) of each token's state, and h ← h + Σₑ wₑ (blockₑ(h) − h), summed over all
    blocks (``router="soft"``) or that of the highest weight alone (``router="top"``). W is the same in all passes.

    Scores are a linear map of the read-out token's last state. Size, optimizer, decay, warm-up and batch are Power et
    al.'s by default, and so are linear maps without biases.

    NOTE: Their code normalises after the blocks, adds sinusoids and draws embeddings of unit scale. Small first weights
    generalize far sooner, so that the defaults here are the usual small ones (standard deviations of about 0.02), with
    LN before each branch. Theirs is ``norm="post"``, ``positions="sinusoidal"``, ``init_scale=1``, ``init_gain=1``.

    NOTE: ``router="top"`` computes all blocks and masks those not taken, since a program of many replicas has no
    branches: it costs as much as "soft". The keys and values that a block attends to are its own, of all earlier
    tokens, whichever blocks these take. There is no loss that balances the blocks' loads, as Switch Transformer has.

    Source: Power et al. 2022 (arXiv 2201.02177) and its code; ``norm="grokfast"`` after the code of Lee et al. 2024
    (arXiv 2405.20233); ``router="top"`` after Fedus et al. 2021, "Switch Transformers" (arXiv 2101.03961).

    :param depth: L blocks.
    :param width: D, of the residual stream.
    :param heads: attention heads; they divide D.
    :param mlp_ratio: m, hidden units of the MLP divided by D.
    :param activation: "relu", "gelu", "tanh", "quadratic" or "identity".
    :param norm: "post", "pre", "grokfast", "residual" or "none".
    :param bias: biases in all linear maps but the read-out.
    :param positions: "sinusoidal" (fixed) or "learned".
    :param layout: "slots" or "equation".
    :param tied: one embedding for all slots.
    :param tied_readout: the read-out is the transposed embedding; needs one-hot codes of the classes and tied slots.
    :param shared_blocks: one block's weights for all passes (weight-tied recursion).
    :param loops: passes through the blocks; more than one needs ``shared_blocks`` or a router.
    :param router: "none", "soft" or "top"; needs more than one block, and excludes ``shared_blocks``.
    :param dropout: probability of dropping an output of attention or MLP, in [0, 1).
    :param init_scale: standard deviation of the entries of embedded codes, tokens and learned positions at the start.
    :param init_gain: factor on the first weights of all linear maps, U(±1/√in) as PyTorch draws them.
    :raises ValueError: for a parameter out of range, or heads that do not divide the width.

    >>> pairs = np.array([[a, b] for a in range(4) for b in range(4)])
    >>> X, y = np.eye(4)[pairs].reshape(16, 8), pairs[:, 0] ^ pairs[:, 1]
    >>> optimizer = AdamW(lr=0.01, weight_decay=0.1)
    >>> learner = Transformer(width=32, depth=1, optimizer=optimizer, slots=2, steps=100, random_state=0)
    >>> learner.fit(X, y).score(X, y)
    1.0
    """

    version = 2
    later_parameters = TorchLearner.later_parameters | {"router"}
    example: ClassVar = {
        "width": 16,
        "heads": 2,
        "depth": 1,
        "optimizer": AdamW(lr=0.01, weight_decay=0.1),
        "steps": 20,
        "random_state": 0,
    }

    depth: int = 2
    width: int = 128
    heads: int = 4
    mlp_ratio: float = hyperparameter(4.0, above=0)
    activation: Activation = "relu"
    norm: Literal["post", "pre", "grokfast", "residual", "none"] = "pre"
    bias: bool = False
    positions: Literal["sinusoidal", "learned"] = "learned"
    layout: Literal["slots", "equation"] = "slots"
    tied: bool = True
    tied_readout: bool = False
    shared_blocks: bool = False
    loops: int = 1
    router: Routing = "none"
    dropout: float = hyperparameter(0.0, at_least=0, below=1, role="replica")
    init_scale: float = hyperparameter(0.02, above=0, role="start")
    init_gain: float = hyperparameter(0.5, above=0, role="start")

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Nothing of its own: its optimizer alone is searched."""
        return {}

    def check_own(self) -> None:
        """Heads that divide the width, loops of shared blocks, a bank to route over, a tied read-out of tied slots."""
        require(self, "mlp_ratio", round(self.mlp_ratio * self.width) >= 1, "enough for one unit of the MLP")
        require(self, "heads", self.width % self.heads == 0, f"a divisor of width={self.width}")
        routed = self.router != "none"
        require(self, "loops", self.loops == 1 or self.shared_blocks or routed, "1 unless blocks are shared or routed")
        require(self, "router", not (routed and self.shared_blocks), "'none' with shared_blocks, which leave one block")
        self.require_effect("router", self.depth > 1, "with a single block")
        self.require_effect("shared_blocks", self.depth * self.loops > 1, "with a single block that is passed once")
        require(self, "tied_readout", not self.tied_readout or self.tied, "False unless slots are tied")

    def check_codes(self, codes: Codes, n_classes: int) -> None:
        """A tied read-out takes one-hot codes of the classes."""
        table = codes.table_UF
        onehot = table.shape == (n_classes, n_classes) and bool((table == np.eye(n_classes)).all())
        if self.tied_readout and not onehot:
            raise ValueError("The 'tied_readout' parameter of Transformer needs one-hot codes of the classes.")

    def network(self, n_slots: int, n_features: int, n_classes: int) -> Network:
        """The module of one replica."""
        return Decoder(
            n_slots,
            n_features,
            n_classes,
            depth=self.depth,
            width=self.width,
            heads=self.heads,
            inner=round(self.mlp_ratio * self.width),
            activation=self.activation,
            norm=self.norm,
            bias=self.bias,
            learned_positions=self.positions == "learned",
            equation=self.layout == "equation",
            tied=self.tied,
            tied_readout=self.tied_readout,
            shared_blocks=self.shared_blocks,
            loops=self.loops,
            router=self.router,
            init_scale=self.init_scale,
            init_gain=self.init_gain,
        )
