"""Probes of an encoding: the accuracy that simple readouts of its codes reach.

========== ============================== ==========================================================================
probe      reads                          cannot read
========== ============================== ==========================================================================
ridge      sums over single features      any interaction of two features: of concatenated slots it is f(a) + g(b)
knn        distances between codes        answers that no near neighbour in training has
bilinear   sums over matched products     products of unmatched features, products of three features or more
========== ============================== ==========================================================================
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.results import is_correct
from bench.specs import Cell
from encoders import Codes
from learners import KNN, Learner, Problem, Ridge

PROBES = ("ridge", "knn", "bilinear")
MANY_PRODUCTS = 1024
"""Number of products that is always allowed, since a ridge on so many is cheap."""
Probes = dict[str, float | None]
Features = NDArray[np.floating]


def probes(cell: Cell) -> Probes:
    """Test accuracy of each probe; validation accuracy if there are no test pairs, None if there are neither.

    A probe learns from the training answers that the learner is given, those with label noise included.
    """
    rows = cell.parts.get("test", cell.split.validation)
    if not rows.size:
        return dict.fromkeys(PROBES)
    problem = cell.problem
    truth = cell.task.answers_N[rows]
    return {
        "ridge": _accuracy(Ridge(), problem, rows, truth),
        "knn": _accuracy(KNN(), problem, rows, truth),
        "bilinear": _accuracy(Ridge(), *_multiplied(cell, rows), truth) if problem.codes.n_slots <= 2 else None,
    }


def _accuracy(probe: Learner, problem: Problem, rows: NDArray[np.intp], truth: NDArray[np.integer]) -> float:
    training = type(probe).begin([probe], [problem])
    training.advance(0, [0])
    [scores] = training.look([0], [rows]).scores
    return float(is_correct(scores, truth).mean())


def _multiplied(cell: Cell, rows: NDArray[np.intp]) -> tuple[Problem, NDArray[np.intp]]:
    """The problem of a cell with matched products as codes of the training rows and the given rows; the new rows."""
    train, codes = cell.split.train, cell.problem.codes
    used = np.concatenate([train, rows])
    slots_SNF = [codes.table_UF[slot] for slot in codes.index_NS[used].T]
    blocks_F = cell.encoder.encoder_.feature_blocks()
    products = Codes(matched_products(slots_SNF, blocks_F, cell.task.symmetric), np.arange(len(used))[:, np.newaxis])
    n = len(train)
    return Problem(products, np.arange(n), cell.problem.y, cell.problem.n_classes), np.arange(n, len(used))


def matched_products(slots_SNF: Sequence[Features], blocks_F: NDArray[np.intp], symmetric: bool) -> Features:
    """Products of two slots' features of the same block, side by side.

    zᵢ(a) zⱼ(b) for all i, j of one block; where a ∘ b = b ∘ a only their symmetric part
    (zᵢ(a) zⱼ(b) + zⱼ(a) zᵢ(b)) / 2, i ≤ j. A linear readout of them is a bilinear form whose matrix is block-diagonal:

        f_c(a, b) = β_c + Σ_B Σ_{i, j ∈ B} W_cij zᵢ(a) zⱼ(b).

    It reads every answer that is such a form: cos and sin of k(a ± b) where a block is the pair cos kx, sin kx; the sum
    of two remainders where a block is a one-hot remainder; "and" of equal bits where every feature is a block. It
    cannot read what needs products across blocks (carries between bits, remainders of several moduli at once) or
    products of three features. It reads nothing from codes that share no feature, such as one-hot ones: their products
    identify the pair, and no test pair was in training.

    A single slot is multiplied with itself, squares included. If it is a sum z(a) + z(b), its products contain those of
    a and b. If its features are zeros and ones, each a block of its own, its products are the slot itself, and the
    probe equals ridge.

    NOTE: if there would be more than max(2F, 1,024) products, every feature is a block of its own instead.

    :param slots_SNF: S slots of N examples, (N, F) each.
    :param blocks_F: the number of each feature's block, from `Encoder.feature_blocks`.
    :param symmetric: whether the answer is independent of the order of the slots.
    """
    symmetric = symmetric or len(slots_SNF) == 1
    left, right = _places(blocks_F, symmetric)
    if len(left) > max(2 * len(blocks_F), MANY_PRODUCTS):
        left = right = np.arange(len(blocks_F))
    pairs = list(combinations(slots_SNF, 2)) or [(slots_SNF[0], slots_SNF[0])]
    return np.concatenate([_products(a, b, left, right, symmetric) for a, b in pairs], axis=1)


def _places(blocks_F: NDArray[np.intp], symmetric: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All i, j of one block; only those with i ≤ j if their order does not matter."""
    members = [np.flatnonzero(blocks_F == block) for block in np.unique(blocks_F)]
    left = np.concatenate([np.repeat(block, len(block)) for block in members])
    right = np.concatenate([np.tile(block, len(block)) for block in members])
    kept = (left <= right) | (not symmetric)
    return left[kept], right[kept]


def _products(
    a_NF: Features, b_NF: Features, left: NDArray[np.intp], right: NDArray[np.intp], symmetric: bool
) -> Features:
    products = a_NF[:, left] * b_NF[:, right]
    return (products + a_NF[:, right] * b_NF[:, left]) / 2 if symmetric else products


def cached_probes(cell: Cell, folder: Path | None) -> Probes:
    """`probes`, computed once for all cells of one encoding and split.

    :param folder: the folder of the cache, or None.
    """
    if folder is None:
        return probes(cell)
    identity = [cell.spec.data, cell.spec.versions["encoder"]]
    path = folder / f"{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]}.probes"
    with suppress(OSError, ValueError, KeyError):  # KeyError: an earlier version knew fewer probes
        known = json.loads(path.read_text())
        return {name: known[name] for name in PROBES}
    found = probes(cell)
    with suppress(OSError), tempfile.NamedTemporaryFile("w", dir=folder, suffix=".new", delete=False) as file:
        file.write(json.dumps(found))
        Path(file.name).replace(path)
    return found
