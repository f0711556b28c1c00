"""Elimination over a finite field: how much data says the answer to whoever knows that the relation is linear."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from encoders import Codes
from encoders._check import require, require_choice, require_integer
from learners._closed_form import ClosedForm
from learners._elimination import LARGEST_FIELD, is_prime, null_space, places, values_on
from learners._one_by_one import Solo
from learners._problem import Problem

SHARED = ("operands", "none", "all")


class LinearFloor(ClosedForm):
    """The answers that follow if any linear relation over GF(q) gives them: the floor of data.

    Every code x of a slot s stands for an unknown number u_s(x), every class y for w(y), and a training row says

        Σ_s u_s(x_s) − w(y) = 0 over GF(q).

    Another row has the answer y where its equation follows from these, that is, where it holds for every solution of
    them. Nothing else is used: not that neighbouring codes stand for neighbouring numbers, nor that different codes
    stand for different ones. Most answers follow from little more equations than there are unknowns (2p for one
    numbering of both operands mod p and one of the answers), the last ones once each code and each class was shown.

    Scores are probabilities: 1 for a class that follows, 1/k for each of k classes that follow equally (they have one
    number in every solution), and 1/C for all where none follows or a code was never seen. There it abstains: the
    highest score is below 1, `predict` names the first such class, and its accuracy is that of chance.

    Equations that contradict each other, by label noise or since the relation is not linear, leave the solutions in
    which all classes have one number: it abstains everywhere. So it does for multiplication mod 97: logarithms add up
    mod 96, which is not over GF(97), and 0 has none. (Without 0, and with a q that divides 96, it finds the remainders
    of the logarithms mod q, which 96 / q classes share.) Subtraction is linear with ``shared="none"``.

    Source: textbook elimination (Golub and Van Loan, "Matrix Computations", section 3.2), here over a finite field. As
    a floor of data it is from this project.

    :param shared: what has one numbering: "operands", all slots; "none", each slot has its own; "all", slots and
        answers together, which needs one-hot codes of the classes.
    :param field: q, a prime below 2²⁴; None takes the number of classes.
    :param slots: equal parts that the columns of a plain matrix consist of. The benchmark passes codes.
    :raises ValueError: for a q that is not prime, given or not; for ``shared="all"`` and other codes.

    >>> pairs = [[a, b] for a in range(11) for b in range(a, 11)]
    >>> X, y = np.eye(11)[np.array(pairs)].reshape(66, 22), np.sum(pairs, axis=1) % 11
    >>> train = np.random.default_rng(0).permutation(66)[:40]
    >>> LinearFloor(slots=2).fit(X[train], y[train]).score(X, y)
    1.0
    """

    version = 1
    fit_parameters = ("slots",)
    example: ClassVar = {"field": 5}

    def __init__(
        self, shared: Literal["operands", "none", "all"] = "operands", field: int | None = None, slots: int = 1
    ) -> None:
        self.shared = shared
        self.field = field
        self.slots = slots

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Whether the operands have one numbering. That answers share it depends on the codes."""
        return {"shared": trial.suggest_categorical("shared", ["operands", "none"])}

    def check(self) -> None:
        """A known word; a prime."""
        require_choice(self, "shared", SHARED)
        require_integer(self, "slots")
        require_integer(self, "field", 2, optional=True)
        small = self.field is None or (self.field < LARGEST_FIELD and is_prime(self.field))
        require(self, "field", small, "a prime < 2²⁴ or None")

    def check_codes(self, codes: Codes, n_classes: int) -> None:
        """A prime number of classes where no field is given; one-hot codes of the classes where all is shared."""
        if self.field is None and not (n_classes < LARGEST_FIELD and is_prime(n_classes)):
            raise ValueError(
                f"The 'field' parameter of LinearFloor must be given where the number of classes is no prime < 2²⁴, "
                f"got field=None and {n_classes} classes."
            )
        if self.shared == "all" and not _onehot(codes.table_UF, n_classes):
            raise ValueError("The 'shared' parameter of LinearFloor needs one-hot codes of the classes to be 'all'.")

    def solo(self, problem: Problem) -> Solo:
        """This learner, to be solved for one problem."""
        self.check_codes(problem.codes, problem.n_classes)
        self.n_slots_ = problem.codes.n_slots
        return super().solo(problem)

    def predict_proba(self, X: ArrayLike | Codes) -> NDArray[np.floating]:
        """Probabilities (N, C): the scores."""
        return self.scores(X)

    def _solve(self, X: NDArray[np.floating], targets_NC: NDArray[np.float32]) -> dict[str, Any]:
        n_classes = targets_NC.shape[1]
        q = self.field or n_classes
        codes_NSF = self._in_slots(X)
        tables = self._tables(codes_NSF, n_classes)
        firsts = np.cumsum([0, *(len(table) for table in tables)])  # of each numbering, then of the answers
        unknowns_NS = self._unknowns(codes_NSF, tables)
        answer = 0 if self.shared == "all" else int(firsts[-1])
        unknowns = max(int(firsts[-1]), answer + n_classes)
        terms_NT = np.column_stack([unknowns_NS, answer + targets_NC.argmax(axis=1)])
        signs_T = np.array([1] * self.n_slots_ + [-1])
        basis_UD = null_space(terms_NT, signs_T, unknowns, q)
        return {"tables": tables, "basis": basis_UD, "answers": basis_UD[answer : answer + n_classes], "field": q}

    def _in_slots(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """The codes of each slot, (N, S, F), in which equal numbers are equal bytes: 0 where there is −0."""
        return np.asarray(X, dtype=np.float32).reshape(len(X), self.n_slots_, -1) + np.float32(0)

    def _tables(self, codes_NSF: NDArray[np.float32], n_classes: int) -> list[NDArray[np.float32]]:
        """The distinct codes of each numbering, (U, F)."""
        if self.shared == "all":
            return [np.eye(n_classes, dtype=np.float32)]
        slots = [codes_NSF[:, s] for s in range(self.n_slots_)]
        if self.shared == "operands":
            slots = [np.concatenate(slots)]
        return [_distinct(codes) for codes in slots]

    def _unknowns(self, codes_NSF: NDArray[np.float32], tables: list[NDArray[np.float32]]) -> NDArray[np.int64]:
        """The unknown that the code of each slot stands for, (N, S); −1 where the code was never seen."""
        firsts = np.cumsum([0, *(len(table) for table in tables)])
        found = []
        for s in range(self.n_slots_):
            t = s if len(tables) > 1 else 0
            own = places(tables[t], codes_NSF[:, s])
            found.append(np.where(own < 0, -1, own + firsts[t]))
        return np.stack(found, axis=1)

    def _scores(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        basis_UD, answers_CD = self.model_["basis"], self.model_["answers"]
        unknowns_NS = self._unknowns(self._in_slots(X), self.model_["tables"])
        sums_ND = values_on(basis_UD, unknowns_NS, np.ones(self.n_slots_, dtype=np.int64), self.model_["field"])
        # Equal answers are one row of this table, so that a sum that equals it has a share of each of them.
        distinct_KD, of_class_C = np.unique(answers_CD, axis=0, return_inverse=True)
        places_N = np.where((unknowns_NS < 0).any(axis=1), -1, places(distinct_KD, sums_ND))
        scores_KC = (np.arange(len(distinct_KD))[:, None] == of_class_C.reshape(-1)).astype(np.float64)
        scores_KC = np.vstack([scores_KC, np.ones(scores_KC.shape[1])])  # the last for those that are at no place
        return (scores_KC / scores_KC.sum(axis=1, keepdims=True))[places_N]

    def operations(self, n_train: int, n_features: int, n_classes: int) -> int:
        """At most V³ + (S + 1) V N in GF(q), counted like floating-point ones, with the V unknowns of one-hot codes.

        V updates of a basis of V numbers for each of at most V solutions, half of them on average, a product and a sum
        each; and the terms of N equations. V is C where all is shared, F + C or S·F + C else.
        """
        codes = {"all": 0, "operands": n_features // self.n_slots_, "none": n_features}[self.shared]
        unknowns = codes + n_classes
        return unknowns**3 + (self.n_slots_ + 1) * unknowns * n_train

    def _parameters(self) -> int:
        return len(self.model_["basis"])


def _distinct(codes_NF: NDArray[np.float32]) -> NDArray[np.float32]:
    """The distinct rows in the order of their first places. (Sorting floats column by column takes much longer.)"""
    return np.stack([np.frombuffer(row, dtype=np.float32) for row in dict.fromkeys(row.tobytes() for row in codes_NF)])


def _onehot(table_UF: NDArray[np.float32], n_classes: int) -> bool:
    """Whether each code is a one at the place of a class and zero elsewhere."""
    ones = ((table_UF == 0) | (table_UF == 1)).all() and (table_UF.sum(axis=1) == 1).all()
    return bool(table_UF.shape[1] == n_classes and ones)
