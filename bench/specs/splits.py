"""Splits: which pairs train, which validate, which test, and which lie in the vault.

The vault: test pairs that a study keeps sealed until its winner is known.

Four protocols define which pairs are used and whether mirrored twins may be on different sides of a split:

========== ================================ ======================================
protocol   pairs                            twins (a, b), (b, a)
========== ================================ ======================================
ordered    all                              split at random: the literature's leak
grouped    all                              always on one side
unordered  a ≤ b                            only one of the two exists
distinct   a < b                            only one of the two exists
========== ================================ ======================================

A learner that answers (a, b) as it was taught to answer (b, a) is right wherever twins have one answer. The default
protocol of a task keeps such twins on one side (`default_protocol`).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bench.tasks import Task

Protocol = Literal["ordered", "grouped", "unordered", "distinct"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

Rows = NDArray[np.intp]
Pairs = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the task's pairs, disjoint, each sorted."""

    train: Rows
    validation: Rows
    test: Rows


def default_protocol(task: Task) -> Protocol:
    """Unordered for commutative tasks, grouped where any two twins have one answer, ordered where none have."""
    if task.commutative:
        return "unordered"
    return "grouped" if task.twins_agree else "ordered"


def eligible(pairs_N2: Pairs, protocol: Protocol) -> Rows:
    """Rows of the pairs that a protocol uses."""
    a, b = pairs_N2[:, 0], pairs_N2[:, 1]
    if protocol == "unordered":
        return np.flatnonzero(a <= b)
    if protocol == "distinct":
        return np.flatnonzero(a < b)
    return np.arange(len(pairs_N2))


def _units(pairs_N2: Pairs, rows: Rows, protocol: Protocol) -> NDArray[np.intp]:
    """For each row the number of its unit: rows of one unit are never split."""
    if protocol != "grouped":
        return np.arange(len(rows))
    twins = np.sort(pairs_N2[rows], axis=1)
    return np.unique(twins, axis=0, return_inverse=True)[1].reshape(-1)


def _shuffled(pairs_N2: Pairs, rows: Rows, protocol: Protocol, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """The rows in random order, unit by unit, and the number of rows up to the end of each unit."""
    units = _units(pairs_N2, rows, protocol)
    place = rng.permutation(units.max() + 1)
    order = np.argsort(place[units], kind="stable")
    return rows[order], np.cumsum(np.bincount(place[units]))


def _whole_units(ends: Rows, wanted: int) -> int:
    """The largest number of rows up to ``wanted`` that splits no unit."""
    fitting = np.searchsorted(ends, wanted, side="right")
    return int(ends[fitting - 1]) if fitting else 0


def draw_vault(pairs_N2: Pairs, protocol: Protocol, fraction: float, rng: np.random.Generator) -> Rows:
    """Rows of a random share of the pairs, which are not used for training, tuning or evaluation until the end.

    :raises ValueError: for a fraction outside (0, 1), or one that holds no pair.
    """
    _check_fraction("vault", fraction)
    rows, ends = _shuffled(pairs_N2, eligible(pairs_N2, protocol), protocol, rng)
    vault = rows[: _whole_units(ends, round(fraction * len(rows)))]
    if not vault.size:
        raise ValueError(f"A vault_fraction of {fraction} of {len(rows)} pairs holds none.")
    return np.sort(vault)


def split(
    pairs_N2: Pairs,
    protocol: Protocol,
    train_fraction: float,
    validation_fraction: float,
    rng: np.random.Generator,
    vault: Rows | None = None,
    open_vault: bool = False,
) -> Split:
    """Draw a split at random.

    Fractions count pairs of the protocol, with or without a vault; the rest is test. With a vault, train and
    validation come from outside it and there are no test pairs, until ``open_vault`` makes the vault the test set.

    :raises ValueError: for fractions outside (0, 1), or ones that leave train, validation or test empty.
    """
    _check_fraction("train_fraction", train_fraction)
    if validation_fraction:
        _check_fraction("validation_fraction", validation_fraction)
    rows = eligible(pairs_N2, protocol)
    n = len(rows)
    if vault is not None:
        rows = np.setdiff1d(rows, vault)
    shuffled, ends = _shuffled(pairs_N2, rows, protocol, rng)
    wanted = round(train_fraction * n)
    n_train = _whole_units(ends, wanted)
    n_seen = _whole_units(ends, wanted + round(validation_fraction * n))
    if vault is None and train_fraction + validation_fraction >= 1:  # what rounding leaves is no test set
        raise ValueError(
            f"A train_fraction of {train_fraction} and a validation_fraction of {validation_fraction} leave nothing to "
            "test: their sum must be below 1."
        )
    if vault is not None and wanted + round(validation_fraction * n) > len(rows):
        raise ValueError(
            f"A train_fraction of {train_fraction} and a validation_fraction of {validation_fraction} "
            f"do not fit beside a vault of {len(vault)} of {n} pairs."
        )
    train, validation, rest = np.split(shuffled, [n_train, n_seen])
    test = rest if vault is None else (vault if open_vault else vault[:0])
    if not train.size or (vault is None and not test.size) or (validation_fraction and not validation.size):
        raise ValueError(
            f"A train_fraction of {train_fraction} and a validation_fraction of {validation_fraction} of {n} pairs "
            f"leave {train.size} to train, {validation.size} to validate and {test.size} to test."
        )
    return Split(np.sort(train), np.sort(validation), np.sort(test))


def given_away(task: Task, drawn: Split) -> int:
    """Test pairs (a, b), a ≠ b, whose twin (b, a) has the same answer and is in training."""
    seen, asked = (_keys(task, rows) for rows in (drawn.train, drawn.test))
    return int((np.isin(asked[:, 1], seen[:, 0]) & (asked[:, 0] != asked[:, 1])).sum())


def _keys(task: Task, rows: Rows) -> NDArray[np.int64]:
    """A number for the pair and its answer, and one for its twin and the same answer, (N, 2)."""
    (a, b), base = task.pairs_N2[rows].T, int(task.pairs_N2.max()) + 1
    return np.stack([a * base + b, b * base + a], axis=1) * task.n_classes + task.answers_N[rows, np.newaxis]


def _check_fraction(name: str, fraction: float) -> None:
    if not 0 < fraction < 1:
        raise ValueError(f"`{name}` must be in (0, 1), got {fraction}.")
