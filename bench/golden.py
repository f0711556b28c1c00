"""Golden trajectories: what every plugin gives for a fixed small input, kept so that no change goes unseen.

``python -m bench.golden DIR [NAME …]`` writes those that are missing or of another version, and those named: a plugin
that nobody uses yet needs no new version. Results that change without either fail a test.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench import registry
from encoders import Codes
from learners import Problem

__all__ = ["trajectory", "write"]

GOLDEN_KINDS: tuple[registry.Kind, ...] = ("encoder", "learner")


def trajectory(kind: str, name: str) -> dict[str, Any]:
    """The version of a plugin and numbers that depend on all it does."""
    cls = getattr(registry, kind)(name)
    numbers = _codes(cls(**cls.example)) if kind == "encoder" else _learning(cls(**cls.example))
    return {"version": cls.version, "numbers": [round(float(n), 5) for n in numbers]}


def _codes(encoder: Any) -> np.ndarray:
    """Two projections of the codes of 0 … 12."""
    values = np.arange(13.0)[:, np.newaxis]
    codes = np.asarray(encoder.fit(values).transform(values), dtype=np.float64)
    weights = np.sin(np.arange(codes.shape[1]) + 1.0)
    return np.concatenate([codes @ weights, codes @ weights[::-1]])


def _learning(learner: Any) -> np.ndarray:
    """Scores of three examples at the first, third and last moment of a short training on a + b mod 5."""
    index_NS = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2)
    codes, y = Codes(np.eye(5), index_NS), index_NS.sum(axis=1) % 5
    if "random_state" in learner.get_params():
        learner.set_params(random_state=0)
    train = np.arange(0, 25, 2)
    training = type(learner).begin([learner], [Problem(codes, train, y[train], 5)])
    granule = learner.granularity(len(train))
    scores = []
    for moment in (1, 3, 6):
        training.advance(moment * granule, [0])
        scores.append(np.asarray(training.look([0], [np.array([0, 1, 13])]).scores[0]).ravel())
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
