"""Splits: which questions train, which validate, which test, and which lie in the vault.

The vault: test questions that a study keeps sealed until its winner is known.

Four protocols define which questions are used and whether twins may be on different sides of a split. Twins are of one
orbit: they have the same operands in another order, as far as the task lets operands be exchanged.

========== ================================ ================= ======================================
protocol   questions                        of pairs          twins, such as (a, b), (b, a)
========== ================================ ================= ======================================
ordered    all                              all               split at random: the literature's leak
grouped    all                              all               always on one side
unordered  the first one of each orbit      a ≤ b             only one of them exists
distinct   likewise, of different operands  a < b             only one of them exists
========== ================================ ================= ======================================

A learner that answers (a, b) as it was taught to answer (b, a) is right wherever twins have one answer. The default
protocol of a task keeps such twins on one side (`default_protocol`).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bench.tasks import Integers, Task

Protocol = Literal["ordered", "grouped", "unordered", "distinct"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the task's pairs, disjoint, each sorted."""

    train: Rows
    validation: Rows
    test: Rows


def default_protocol(task: Task) -> Protocol:
    """Unordered where all twins have one answer, grouped where any two of them have, ordered where none have."""
    if task.symmetric:
        return "unordered"
    return "grouped" if task.twins_agree else "ordered"


def eligible(task: Task, protocol: Protocol) -> Rows:
    """Rows of the questions that a protocol uses."""
    if protocol not in ("unordered", "distinct"):
        return np.arange(len(task.operands_NK))
    rows = np.sort(np.unique(task.orbits, return_index=True)[1])
    if protocol == "distinct":
        for group in task.groups:
            operands = np.sort(task.operands_NK[rows][:, group], axis=1)
            rows = rows[(operands[:, 1:] != operands[:, :-1]).all(axis=1)]
    return rows


def _units(task: Task, rows: Rows, protocol: Protocol) -> NDArray[np.intp]:
    """For each row the number of its unit: rows of one unit are never split."""
    if protocol != "grouped":
        return np.arange(len(rows))
    return np.unique(task.orbits[rows], return_inverse=True)[1]


def _shuffled(task: Task, rows: Rows, protocol: Protocol, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """The rows in random order, unit by unit, and the number of rows up to the end of each unit."""
    units = _units(task, rows, protocol)
    place = rng.permutation(units.max() + 1)
    order = np.argsort(place[units], kind="stable")
    return rows[order], np.cumsum(np.bincount(place[units]))


def _whole_units(ends: Rows, wanted: int) -> int:
    """The largest number of rows up to ``wanted`` that splits no unit."""
    fitting = np.searchsorted(ends, wanted, side="right")
    return int(ends[fitting - 1]) if fitting else 0


def draw_vault(task: Task, protocol: Protocol, fraction: float, rng: np.random.Generator) -> Rows:
    """Rows of a random share of the pairs, which are not used for training, tuning or evaluation until the end.

    :raises ValueError: for a fraction outside (0, 1), or one that holds no pair.
    """
    _check_fraction("vault", fraction)
    rows, ends = _shuffled(task, eligible(task, protocol), protocol, rng)
    vault = rows[: _whole_units(ends, round(fraction * len(rows)))]
    if not vault.size:
        raise ValueError(f"A vault_fraction of {fraction} of {len(rows)} pairs holds none.")
    return np.sort(vault)


def split(
    task: Task,
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
    rows = eligible(task, protocol)
    n = len(rows)
    if vault is not None:
        rows = np.setdiff1d(rows, vault)
    shuffled, ends = _shuffled(task, rows, protocol, rng)
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


def given_away(task: Task, drawn: Split, answers_N: Integers | None = None) -> int:
    """Test questions of which a twin with the same answer is in training.

    :param answers_N: of all questions, where those of training rows are not the task's: a twin whose answer was
        replaced gives nothing away.
    """
    answers_N = task.answers_N if answers_N is None else answers_N
    seen, asked = (task.orbits[rows] * task.n_classes + answers_N[rows] for rows in (drawn.train, drawn.test))
    return int(np.isin(asked, seen).sum())


def _check_fraction(name: str, fraction: float) -> None:
    if not 0 < fraction < 1:
        raise ValueError(f"`{name}` must be in (0, 1), got {fraction}.")
