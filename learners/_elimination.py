"""Gaussian elimination over GF(q), for equations of few terms in a few hundred unknowns."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

BLOCK: Final = 256
"""Equations that are reduced together."""
LARGEST_FIELD: Final = 2**24
"""Sums of `BLOCK` products of two numbers below it fit into 64 bits."""


def is_prime(q: int) -> bool:
    """Whether q < 2²⁴ is a prime."""
    return q > 1 and all(q % divisor for divisor in range(2, int(q**0.5) + 1))


def null_space(terms_NT: Integers, signs_T: Integers, unknowns: int, q: int) -> Integers:
    """A basis of the solutions of N homogeneous equations over GF(q), the columns of a matrix (unknowns, d).

    Equation n is Σ_t signs_T[t] · unknown[terms_NT[n, t]] = 0; an unknown may occur several times.

    The basis is kept instead of the equations. It begins as the identity. An equation e takes the values v = e · basis
    on it, and says something new where they are not zero: with a column j where vⱼ ≠ 0, every other column c then loses
    v_c / vⱼ times column j, and j goes. An equation that follows from those before has the values 0. So the work is one
    update of the basis for each of at most ``unknowns`` equations, and T additions for any other.
    """
    basis_UD = np.eye(unknowns, dtype=np.int64)
    for start in range(0, len(terms_NT), BLOCK):
        values_ND = values_on(basis_UD, terms_NT[start : start + BLOCK], signs_T, q)
        values_ND = np.unique(values_ND[values_ND.any(axis=1)], axis=0)
        if len(values_ND):
            pivots, reduced_KD = row_reduced(values_ND, q)
            kept = np.delete(np.arange(basis_UD.shape[1]), pivots)
            basis_UD = (basis_UD[:, kept] - basis_UD[:, pivots] @ reduced_KD[:, kept]) % q
    return basis_UD


def values_on(basis_UD: Integers, terms_NT: Integers, signs_T: Integers, q: int) -> Integers:
    """The values of equations, or of parts of such, on each column of a basis, (N, d)."""
    values_ND = np.zeros((len(terms_NT), basis_UD.shape[1]), dtype=np.int64)
    for sign, terms_N in zip(signs_T.tolist(), terms_NT.T, strict=True):
        values_ND += sign * basis_UD[terms_N]
    return values_ND % q


def row_reduced(A_ND: Integers, q: int) -> tuple[list[int], Integers]:
    """The pivot columns and the rows (K, d) other than zero of the reduced row echelon form of a matrix over GF(q)."""
    A_ND = A_ND.copy()
    pivots: list[int] = []
    while len(pivots) < len(A_ND):
        row = len(pivots)
        filled = A_ND[row:].any(axis=1)
        if not filled.any():
            break
        first = row + int(filled.argmax())
        A_ND[[row, first]] = A_ND[[first, row]]
        column = int((A_ND[row] != 0).argmax())
        A_ND[row] = A_ND[row] * pow(int(A_ND[row, column]), -1, q) % q
        factors_N = A_ND[:, column].copy()
        factors_N[row] = 0
        touched = np.flatnonzero(factors_N)
        A_ND[touched] = (A_ND[touched] - factors_N[touched, None] * A_ND[row]) % q
        pivots.append(column)
    return pivots, A_ND[: len(pivots)]


def places(known_KD: NDArray[Any], rows_ND: NDArray[Any]) -> Integers:
    """The number of the known row, of distinct ones, that equals each of these rows, (N,); −1 where none does."""
    number = {row.tobytes(): k for k, row in enumerate(known_KD)}
    return np.array([number.get(row.tobytes(), -1) for row in rows_ND], dtype=np.int64)
