"""Elimination over a finite field: against a loop over plain integers, and what follows from training rows."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders import Codes, Random
from learners import LinearFloor, Problem
from learners._elimination import is_prime, null_space, row_reduced

P = 13
PAIRS = np.array([[a, b] for a in range(P) for b in range(P)])
CODES = Codes(np.eye(P), PAIRS)
SUMS = PAIRS.sum(axis=1) % P
ORDER = np.random.default_rng(0).permutation(P * P)


def naive_rank(rows: list[list[int]], q: int) -> int:
    """The rank of a matrix over GF(q), number by number."""
    rows, rank = [[x % q for x in row] for row in rows], 0
    for column in range(len(rows[0])):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        inverse = next(x for x in range(1, q) if x * rows[rank][column] % q == 1)
        for i in range(rank + 1, len(rows)):
            factor = rows[i][column] * inverse
            rows[i] = [(x - factor * y) % q for x, y in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    return rank


def equation(terms: NDArray[Any], unknowns: int) -> list[int]:
    row = [0] * unknowns
    for sign, term in zip((1, 1, -1), terms, strict=True):
        row[term] += sign
    return row


@pytest.mark.parametrize("q", [2, 3, 13])
@pytest.mark.parametrize("seed", range(3))
def test_the_null_space_is_that_of_a_loop(q: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learners._elimination.BLOCK", 5)
    terms_NT = np.random.default_rng(seed).integers(0, 12, (18, 3))  # some with one unknown twice
    matrix = np.array([equation(terms, 12) for terms in terms_NT])
    basis_UD = null_space(terms_NT, np.array([1, 1, -1]), 12, q)
    assert not (matrix @ basis_UD % q).any()
    assert basis_UD.shape[1] == 12 - naive_rank(matrix.tolist(), q)
    if basis_UD.size:
        assert naive_rank(basis_UD.T.tolist(), q) == basis_UD.shape[1]


def test_a_reduced_matrix_has_unit_columns_at_its_pivots_and_the_same_rows() -> None:
    A = np.random.default_rng(1).integers(0, 7, (5, 9))
    A[4] = (A[0] + 3 * A[1]) % 7
    pivots, reduced = row_reduced(A, 7)
    assert np.array_equal(reduced[:, pivots], np.eye(4, dtype=int))
    assert naive_rank([*A.tolist(), *reduced.tolist()], 7) == naive_rank(A.tolist(), 7) == 4


@pytest.mark.parametrize("shared", ["operands", "none", "all"])
@pytest.mark.parametrize("count", [9, 26, 40])
def test_an_answer_is_given_where_its_equation_follows(shared: Any, count: int) -> None:
    """Certain is exactly the class whose equation does not raise the rank."""
    learner = LinearFloor(shared).fit(CODES[ORDER[:count]], SUMS[ORDER[:count]], classes=np.arange(P))
    second, answer = {"operands": (0, P), "none": (P, 2 * P), "all": (0, 0)}[shared]
    rows = [equation((a, second + b, answer + c), answer + P) for (a, b), c in zip(PAIRS, SUMS, strict=True)]
    known = [rows[i] for i in ORDER[:count]]
    rank = naive_rank(known, P)
    scores = learner.scores(CODES)
    for i in ORDER[30:50]:
        (a, b), right = PAIRS[i], SUMS[i]
        assert (scores[i, right] == 1) == (naive_rank([*known, rows[i]], P) == rank)
        wrong = equation((a, second + b, answer + (right + 1) % P), answer + P)
        assert (scores[i, (right + 1) % P] == 1) == (naive_rank([*known, wrong], P) == rank)
    sure = scores.max(axis=1) == 1
    assert (learner.predict(CODES)[sure] == SUMS[sure]).all()
    assert np.allclose(scores[~sure], 1 / P)


def test_the_more_is_shared_the_less_data_it_takes() -> None:
    def knows_all(shared: Any, n: int) -> bool:
        training = LinearFloor.begin([LinearFloor(shared)], [Problem(CODES, ORDER[:n], SUMS[ORDER[:n]], P)])
        training.advance(0, [0])
        return bool((training.look([0], [np.arange(P * P)]).scores[0].max(axis=1) == 1).all())

    found = [next(n for n in range(1, P * P) if knows_all(shared, n)) for shared in ("all", "operands", "none")]
    assert found == sorted(found)
    assert found[0] >= P - 1  # unknowns less the one number that no sum tells
    assert found[1] >= 2 * P - 2
    assert found[2] >= 3 * P - 3


def test_subtraction_is_linear_with_numberings_of_their_own() -> None:
    differences = (PAIRS[:, 0] - PAIRS[:, 1]) % P
    train = ORDER[:110]
    assert LinearFloor("none").fit(CODES[train], differences[train]).score(CODES, differences) == 1
    for shared in ("operands", "all"):
        scores = LinearFloor(shared).fit(CODES[train], differences[train]).scores(CODES)  # type: ignore[arg-type]
        assert (scores == 1 / P).all()


def test_contradictory_equations_say_nothing() -> None:
    noisy = SUMS[ORDER[:110]].copy()
    noisy[:3] = (noisy[:3] + np.array([1, 3, 4])) % P
    assert (LinearFloor().fit(CODES[ORDER[:110]], noisy).scores(CODES) == 1 / P).all()


def test_logarithms_leave_classes_of_remainders() -> None:
    """Mod 13 logarithms add up mod 12; over GF(3) it finds their remainders mod 3, four answers for each."""
    products = PAIRS.prod(axis=1) % P
    some, nonzero = ORDER[:110], np.flatnonzero(products)
    assert (LinearFloor().fit(CODES[some], products[some], classes=np.arange(P)).scores(CODES) == 1 / P).all()
    some = np.intersect1d(some, nonzero)
    scores = LinearFloor(field=3).fit(CODES[some], products[some]).scores(CODES[nonzero])
    assert np.allclose(scores.max(axis=1), 1 / 4)
    assert np.allclose(scores[np.arange(len(nonzero)), products[nonzero] - 1], 1 / 4)


def test_exclusive_or_over_two_elements() -> None:
    """Sixteen classes over GF(2), of four solutions: the field may be smaller than the number of classes."""
    pairs = np.array([[a, b] for a in range(16) for b in range(16)])
    y, train = pairs[:, 0] ^ pairs[:, 1], np.random.default_rng(0).permutation(256)[:128]
    codes = Codes(np.eye(16), pairs)
    assert LinearFloor(field=2).fit(codes[train], y[train]).score(codes, y) == 1


def test_codes_are_recognised_by_their_features() -> None:
    """Codes of any kind do as well as one-hot codes, in any order of the table; unseen ones are guessed."""
    table = Random(n=32, random_state=0).fit(np.arange(P)[:, None]).transform(np.arange(P)[:, None])
    train = ORDER[:60]
    onehot = LinearFloor().fit(CODES[train], SUMS[train])
    other = LinearFloor().fit(Codes(table, PAIRS)[train], SUMS[train])
    assert np.array_equal(onehot.scores(CODES), other.scores(Codes(table[::-1], P - 1 - PAIRS)))
    assert (other.scores(np.full((1, 64), 0.5, np.float32)) == 1 / P).all()
    zero = LinearFloor(slots=1, field=2).fit([[0.0], [1.0]], ["a", "b"])
    assert zero.predict([[-0.0]]).tolist() == ["a"]


@pytest.mark.parametrize(
    ("learner", "words"),
    [
        (LinearFloor(field=4), "'field' parameter of LinearFloor must be a prime < 2²⁴ or None, got field=4"),
        (LinearFloor(field=2**24 + 43), "must be a prime < 2²⁴ or None, got field=16777259"),
        (LinearFloor(field=1), "must be an integer ≥ 2 or None"),
        (LinearFloor("some"), "'shared' parameter of LinearFloor must be one of"),  # type: ignore[arg-type]
        (LinearFloor(), "the number of classes is no prime < 2²⁴, got field=None and 12 classes"),
        (LinearFloor("all", field=13), "needs one-hot codes of the classes to be 'all'"),
    ],
)
def test_what_cannot_be_is_refused(learner: LinearFloor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        learner.fit(CODES, SUMS % 12)


def test_primes() -> None:
    assert [q for q in range(30) if is_prime(q)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
