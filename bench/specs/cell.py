"""A cell: one spec made ready to train."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context

from bench.errors import RequestError
from bench.results import size
from bench.specs.label_noise import noisy_answers
from bench.specs.spec import Spec, derive_seed
from bench.specs.splits import Split, draw_vault, split
from bench.tasks import Integers, Task
from encoders import Codes, PairEncoder
from learners import Learner, Problem

DEFAULT_ERRORS: dict[str, Any] = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
"""What NumPy does by default with numbers that are not finite."""
LARGEST_ZERO_SHARE = 0.9
"""The largest share of the pairs whose codes may be zero."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A task, its split, the fitted encoder and a learner that is not fitted yet.

    The problem has only the answers of the training rows. The harness does not pass the others to a learner. With label
    noise some of them are wrong, and right in the task.
    """

    spec: Spec
    task: Task
    split: Split
    encoder: PairEncoder
    learner: Learner
    problem: Problem

    @property
    def n_train(self) -> int:
        """Training pairs."""
        return len(self.split.train)

    @cached_property
    def answers_N(self) -> Integers:  # noqa: N802, as `Task.answers_N`
        """The answers against which the cell is evaluated, (N,): the task's, of training rows those that were given.

        They differ from the task's with label noise alone, and in training rows alone.
        """
        if not self.spec.label_noise:
            return self.task.answers_N
        answers_N = self.task.answers_N.copy()
        answers_N[self.split.train] = self.problem.y
        return answers_N

    @property
    def n_noisy(self) -> int:
        """Training pairs with a wrong answer."""
        train = self.split.train
        return int((self.answers_N[train] != self.task.answers_N[train]).sum())

    @property
    def conflicts(self) -> int:
        """Pairs of the protocol that share their code with a pair of another answer: no learner can tell them apart.

        The answers are the right ones: label noise makes no conflict of codes.
        """
        rows = np.concatenate([self.split.train, self.split.validation, self.split.test])
        table, index = self.problem.codes.table_UF, self.problem.codes.index_NS[rows]
        # Entries of the table may be equal: products of one-hot codes are zero for all pairs of different operands.
        codes = np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)[index]
        answers = self.task.answers_N[rows]
        place = np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
        lowest, highest = np.full(len(rows), self.task.n_classes), np.full(len(rows), -1)
        np.minimum.at(lowest, place, answers)
        np.maximum.at(highest, place, answers)
        return int((lowest[place] != highest[place]).sum())

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """Rows of each part that is not empty."""
        parts = {"train": self.split.train, "validation": self.split.validation, "test": self.split.test}
        return {name: rows for name, rows in parts.items() if rows.size}


def draw_split(spec: Spec, task: Task) -> Split:
    """Draw the split of a spec. While its vault is closed, there are no test pairs.

    :raises ValueError: where the fractions do not fit.
    """
    protocol, vault = spec.protocol, None
    if spec.vault is not None:
        rng = np.random.default_rng(spec.vault["seed"])
        vault = draw_vault(task, protocol, spec.vault["fraction"], rng)  # type: ignore[arg-type]
    rng = np.random.default_rng(spec.split_seed)
    opened = spec.vault is not None and spec.vault["open"]
    return split(task, protocol, spec.train_fraction, spec.validation_fraction, rng, vault, opened)  # type: ignore[arg-type]


@contextmanager
def own_settings() -> Iterator[None]:
    """A block in which NumPy and scikit-learn compute as they do by default, whatever the caller has set.

    Codes would be tables of pandas with scikit-learn's ``transform_output``, and a sum that underflows an error with
    ``numpy.seterr``.
    """
    with config_context(transform_output="default", array_api_dispatch=False), np.errstate(**DEFAULT_ERRORS):
        yield


def prepare(spec: Spec, known: dict[str, tuple[Task, Split, PairEncoder, Codes]] | None = None) -> Cell:
    """Build the cell of a spec.

    :param known: a cache of tasks, splits and codes, which cells that differ only in their learner share.
    :raises RequestError: where parts of the spec do not fit each other.
    """
    known = {} if known is None else known
    try:
        if spec.data not in known:
            with own_settings():
                known[spec.data] = _build(spec)
        task, parts, encoder, codes = known[spec.data]
        answers = _given_answers(spec, task, parts)
        learner = spec.make_learner()
        learner.check_codes(codes, task.n_classes)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError(str(error) or type(error).__name__) from error
    problem = Problem(codes, parts.train.copy(), answers, task.n_classes)
    return Cell(spec, task, parts, encoder, learner, problem)


def _given_answers(spec: Spec, task: Task, parts: Split) -> Integers:
    """The answers of the training rows that the learner is given."""
    answers = task.answers_N[parts.train]
    if not spec.label_noise:
        return answers
    rng = np.random.default_rng(derive_seed(spec.split_seed, "noise"))
    return noisy_answers(answers, task.n_classes, spec.label_noise, rng)


def _build(spec: Spec) -> tuple[Task, Split, PairEncoder, Codes]:
    task = spec.make_task()
    parts = draw_split(spec, task)
    # Fitted on all operands, since a small training set may lack some of them.
    encoder = PairEncoder(spec.make_encoder(), spec.combine, spec.sdr).fit(task.operands_NK)  # type: ignore[arg-type]
    _check_memory(spec, encoder, task)
    codes = encoder.codes(task.operands_NK)
    _check_nonzero(spec, codes, np.concatenate([parts.train, parts.validation, parts.test]))
    return task, parts, encoder, codes


def _check_memory(spec: Spec, encoder: PairEncoder, task: Task) -> None:
    """Raise MemoryError where the table of codes, of four bytes a feature, is larger than the machine's memory.

    The system hands out more memory than there is, and ends the process that uses it.
    """
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    if "SC_PHYS_PAGES" not in names:
        return
    there_is = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    features, operands = encoder.encoder_.code_size_, int(np.unique(task.operands_NK).size)
    needed = 4 * features * operands
    if needed > there_is:
        what = f"{operands:,} codes of {spec.encoder['name']} with {features:,} features take {size(needed)}"
        raise MemoryError(f"{what}, this machine has {size(there_is)}")


def _check_nonzero(spec: Spec, codes: Codes, rows: NDArray[np.intp]) -> None:
    """Raise RequestError where the codes of nearly all pairs are zero, so that a learner cannot tell them apart."""
    zero_U = (codes.table_UF == 0).all(axis=1)
    share = float(zero_U[codes.index_NS[rows]].all(axis=1).mean())
    if share > LARGEST_ZERO_SHARE:
        raise RequestError(
            f"The combination {spec.combine!r} of {spec.encoder['name']} codes is zero for {100 * share:.0f} % of the "
            "pairs, which nothing can tell apart: another combination is needed, as concat."
        )
