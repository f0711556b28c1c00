"""Golden trajectories: what every plugin gives for a fixed small input, kept so that no change goes unseen.

``python -m bench.recipes.golden DIR [NAME …]`` writes those that are missing or of another version, and those named: a
plugin that nobody uses yet needs no new version. Results that change without either fail a test.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.specs import registry
from encoders import Codes, PairEncoder
from learners import Problem

MOMENTS: Final = (1, 3, 40)
GOLDEN_KINDS: tuple[registry.Kind, ...] = ("encoder", "learner", "optimizer")


def trajectory(kind: str, name: str) -> dict[str, Any]:
    """The version of a plugin and numbers that depend on all it does."""
    cls = getattr(registry, kind)(name)
    made = cls(**cls.example)
    numbers = _codes(made) if kind == "encoder" else _learning(made if kind == "learner" else trained_by(made))
    return {"version": cls.version, "numbers": [round(float(n), 5) for n in numbers]}


def trained_by(part: Any) -> Any:
    """A small learner whose optimizer has this part: beside SGD, where it is no rule itself."""
    from learners import TorchMLP
    from learners.optim import SGD

    chain = {"rule": [part], "filter": [part, SGD(lr=0.05)], "constraint": [SGD(lr=0.05), part]}[part.kind]
    return TorchMLP((16, 16), optimizer=chain, steps=20)


def _codes(encoder: Any) -> np.ndarray:
    """Two projections each of the codes of 0 … 12, and of 25 pairs as the encoder combines and sparsifies them."""
    values = np.arange(13.0)[:, np.newaxis]
    pairs = np.stack(np.meshgrid(values[:5], values[4:9]), axis=-1).reshape(-1, 2)
    found = []
    for made, given in ((encoder, values), (PairEncoder(encoder), pairs)):
        codes = np.asarray(made.fit(given).transform(given), dtype=np.float64)
        weights = np.sin(np.arange(codes.shape[1]) + 1.0)
        found += [codes @ weights, codes @ weights[::-1]]
    return np.concatenate(found)


def _learning(learner: Any) -> np.ndarray:
    """Scores of three examples at the first, third and last moment of a short training on a + b mod 5.

    In units of the largest at that moment, which comes along: some are a thousandth, and as much must show in them.
    """
    index_NS = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2)
    codes, y = Codes(np.eye(5), index_NS), index_NS.sum(axis=1) % 5
    if "random_state" in learner.get_params():
        learner.set_params(random_state=0)
    train = np.arange(0, 25, 2)
    training = type(learner).begin([learner], [Problem(codes, train, y[train], 5)])
    granule = learner.granularity(len(train))
    scores: list[Any] = []
    for moment in MOMENTS:
        training.advance(moment * granule, [0])
        seen = np.asarray(training.look([0], [np.array([0, 1, 13])]).scores[0], dtype=np.float64).ravel()
        largest = np.abs(seen).max() or 1.0
        scores += [seen / largest, [np.log(largest)]]
    return np.concatenate(scores)


def path(kind: str, name: str, folder: Path) -> Path:
    """Where a golden trajectory lies."""
    return folder / f"{kind}-{name}.json"


def write(kind: str, name: str, folder: Path) -> Path:
    """Write the golden trajectory of one plugin."""
    file = path(kind, name, folder)
    file.write_text(json.dumps(trajectory(kind, name)) + "\n", encoding="utf-8")
    return file


def main(arguments: list[str]) -> None:
    """Write golden trajectories into a folder: those of new versions, and of the plugins that are named."""
    folder, named = Path(arguments[0]), set(arguments[1:])
    for kind in GOLDEN_KINDS:
        for name in registry.listings(kind):
            file = path(kind, name, folder)
            stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
            if name in named or stored.get("version") != getattr(registry, kind)(name).version:
                print(write(kind, name, folder))


if __name__ == "__main__":
    main(sys.argv[1:])
