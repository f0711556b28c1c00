"""Which frequencies of a + b, or of a − b, the scores of a learner depend on, and what it knows by them alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.reports.views.grid import Grid

Floats = NDArray[np.float64]
Scores = NDArray[np.floating]

KEY_SHARE = 0.95
"""Key frequencies are the fewest that make up this share of what the scores depend on the sum, or the difference."""


class Part(NamedTuple):
    """Pairs on which a loss is measured.

    :param rows_N: their rows in the grid.
    :param answers_N: their classes.
    """

    rows_N: NDArray[np.int64]
    answers_N: NDArray[np.int64]


class Measured(NamedTuple):
    """Mean loss and accuracy of some pairs; None where there are none."""

    loss: float | None
    accuracy: float | None


class Spectrum(NamedTuple):
    """Shares of the variance of scores over all pairs, by frequency k = 1 … K = ⌊A / 2⌋.

    Scores Z_ijc, from which the mean over classes c is taken since it decides nothing, are averaged over all pairs of
    one sum i + j = s mod A: f_c(s). The share of k is that of the sine and cosine of frequency k in f, over all
    classes, in the variance of Z over pairs. Likewise for the difference i − j.

    :param sum_K: shares by frequencies of the sum.
    :param difference_K: of the difference.
    """

    sum_K: Floats
    difference_K: Floats

    @property
    def of_sum(self) -> bool:
        """Whether the scores depend more on the sum than on the difference."""
        return bool(self.sum_K.sum() >= self.difference_K.sum())

    @property
    def main(self) -> Floats:
        """The shares of the one on which the scores depend more."""
        return self.sum_K if self.of_sum else self.difference_K

    def key_frequencies(self) -> list[int]:
        """The fewest frequencies that make up `KEY_SHARE` of `main`, the largest first; none where it is zero."""
        order = np.argsort(-self.main, kind="stable")
        reached = np.cumsum(self.main[order])
        if not reached[-1] > 0:
            return []
        return (order[: int(np.searchsorted(reached, KEY_SHARE * reached[-1])) + 1] + 1).tolist()


def spectrum_of(scores_NC: Scores, grid: Grid) -> Spectrum:
    """The spectrum of the scores of all pairs of a grid.

    :param scores_NC: (A², C) in the order of ``grid.pairs()``.
    """
    A = len(grid.operands_A)
    centred_NC = scores_NC - scores_NC.mean(axis=1, keepdims=True, dtype=np.float64)
    means_C = centred_NC.mean(axis=0)
    variance = float(((centred_NC - means_C) ** 2).sum())
    shares = []
    for of_sum in (True, False):
        transform_KC = np.fft.rfft(averages(centred_NC, A, of_sum), axis=0)
        power_K = (np.abs(transform_KC) ** 2).sum(axis=1)[1:] * _twice(A)
        shares.append(power_K / variance if variance > 0 else np.zeros_like(power_K))
    return Spectrum(*shares)


def averages(scores_NC: Scores, A: int, of_sum: bool) -> Floats:
    """The mean scores of all pairs of each sum, or difference, modulo A, (A, C)."""
    scores_AAC, total_AC = scores_NC.reshape(A, A, -1), np.zeros((A, scores_NC.shape[1]))
    for i, scores_AC in enumerate(scores_AAC):  # of the sum s is j = s − i, of the difference d is j = i − d
        total_AC += np.roll(scores_AC if of_sum else scores_AC[::-1], i if of_sum else i + 1, axis=0)
    return total_AC / A


def _twice(A: int) -> Floats:
    """Each frequency 1 … ⌊A / 2⌋ stands for two terms of the transform, but A / 2 for one."""
    counts = np.full(A // 2, 2.0)
    if A % 2 == 0:
        counts[-1] = 1.0
    return counts


def by_key_frequencies(scores_NC: Scores, grid: Grid, keys: list[int], of_sum: bool) -> tuple[Scores, Scores]:
    """Scores of all pairs restricted to these frequencies, and scores from which they are excluded, (A², C) each.

    Restricted scores keep, of the transform over both operands, the constant and the cosines and sines of
    k · (i + j), k one of the frequencies; excluded scores lose these cosines and sines alone.

    Source: Nanda et al. 2023, "Progress measures for grokking via mechanistic interpretability" (arXiv 2301.05217).
    """
    A = len(grid.operands_A)
    transform_KC = np.fft.rfft(averages(scores_NC, A, of_sum), axis=0)
    kept_KC = np.zeros_like(transform_KC)
    kept_KC[keys] = transform_KC[keys]
    waves_AC = np.fft.irfft(kept_KC, n=A, axis=0)
    i, j = np.divmod(np.arange(A * A), A)
    waves_NC = waves_AC[(i + j if of_sum else i - j) % A]
    return scores_NC.mean(axis=0, dtype=np.float64) + waves_NC, scores_NC - waves_NC


def measured(scores_NC: Scores, part: Part, losses: Callable[[Any, Any], Any]) -> Measured:
    """The mean loss and the accuracy of a part of the pairs.

    :param losses: of a learner: scores (N, C) and answers (N,) to losses (N,).
    """
    if not len(part.rows_N):
        return Measured(None, None)
    scores = scores_NC[part.rows_N].astype(np.float32)
    loss = float(np.asarray(losses(scores, part.answers_N), np.float64).mean())
    return Measured(loss, float((scores.argmax(axis=1) == part.answers_N).mean()))


def spectrum_of_embedding(embedded_SAD: NDArray[np.floating]) -> Floats:
    """The shares of the frequencies 1 … ⌊A / 2⌋ in the variance of embedded operands, over all slots and units, (K,).

    :param embedded_SAD: the image of each operand in each slot, in the order of the coordinates.
    """
    A = embedded_SAD.shape[1]
    power_K = (np.abs(np.fft.rfft(embedded_SAD.astype(np.float64), axis=1)) ** 2).sum(axis=(0, 2))[1:] * _twice(A)
    total = float(power_K.sum())
    return power_K / total if total > 0 else power_K
