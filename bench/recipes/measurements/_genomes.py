"""Genomes of an encoder and a learner, drawn by a trial in two halves.

The genes of all encoders and learners are drawn and inherited, and those of the chosen ones have an effect. Otherwise a
genetic sampler would have nothing to cross, since it crosses only what all trials have.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.specs import registry
from learners import Quadratic, TorchMLP
from learners.fleet import TorchLearner

ENCODERS = ("onehot", "cycle", "fourier", "rdse", "binary", "random")
LEARNERS: Final[Mapping[str, type[TorchLearner]]] = {"quadratic": Quadratic, "torch-mlp": TorchMLP}
MOST = {"n": 200, "size": 256, "width": 128, "depth": 2}
"""The largest values of some genes: larger codes and nets take minutes."""

Half = dict[str, Any]
"""Keys of a request: those of the encoder, or those of the learner."""
LEARNER: Final[Half] = {"learner": "quadratic", "learner.batch_size": 0}
"""A learner as it comes, which trains on all pairs at once."""


class Genes:
    """A trial that puts the owner in front of the names of genes, and lowers the ends of some ranges."""

    def __init__(self, trial: Any, owner: str) -> None:
        self.trial, self.owner = trial, owner

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> float:
        """A number."""
        return float(self.trial.suggest_float(f"{self.owner}.{name}", low, high, **how))

    def suggest_int(self, name: str, low: int, high: int, **how: Any) -> int:
        """An integer."""
        return int(self.trial.suggest_int(f"{self.owner}.{name}", low, min(high, MOST.get(name, high)), **how))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        some = [one for one in choices if name not in MOST or one <= MOST[name]]
        return self.trial.suggest_categorical(f"{self.owner}.{name}", some)


def encoder_half(trial: Any) -> Half:
    """An encoder with its parameters, how codes are combined, and of a cycle code how many features are kept."""
    drawn = {name: registry.encoder(name).suggest(Genes(trial, name)) for name in ENCODERS}
    name, combine = (
        trial.suggest_categorical("encoder", ENCODERS),
        trial.suggest_categorical("combine", ("concat", "sum")),
    )
    kept = trial.suggest_float("cycle.kept", 0.05, 0.95)
    sdr = max(1, round(kept * drawn[name]["n"])) if name == "cycle" else None
    return {"encoder": name, "combine": combine, "sdr": sdr} | {f"encoder.{key}": x for key, x in drawn[name].items()}


def learner_half(trial: Any) -> Half:
    """A learner with its parameters, and those of its optimizer; it trains on all pairs at once."""
    drawn = {}
    for name, learner in LEARNERS.items():
        own, [rule] = learner.suggest(Genes(trial, name)), learner.default_optimizer()
        rates = rule.suggest(Genes(trial, f"{name}.adamw"))
        drawn[name] = {f"learner.{key}": x for key, x in own.items()} | {f"adamw.{key}": x for key, x in rates.items()}
    # A tied net scores (a, b) and (b, a) alike, so that it cannot subtract.
    drawn["quadratic"]["learner.tied"] = trial.suggest_categorical("quadratic.tied", [True, False])
    name = trial.suggest_categorical("learner", list(LEARNERS))
    return LEARNER | {"learner": name} | drawn[name]
