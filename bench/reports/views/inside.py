"""One run looked into: the spectra of its learner at some steps, and its losses with and without key frequencies."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.reports.views.grid import Grid
from bench.reports.views.spectrum import (
    Floats,
    Measured,
    Part,
    Scores,
    Spectrum,
    by_key_frequencies,
    measured,
    spectrum_of,
    spectrum_of_embedding,
)


class Look(NamedTuple):
    """A learner at one step.

    :param scores_NC: of all pairs of the grid, (A², C).
    :param embedded_SAD: the embedded operands in each slot; None where it has no embedding of single operands.
    """

    step: int
    scores_NC: Scores
    embedded_SAD: Any


class View(NamedTuple):
    """What is seen of a learner at one step.

    :param embedding_K: the spectrum of its embedding; None where it has none.
    :param train: of its training pairs.
    :param held_out: of the pairs that it was not trained on.
    :param restricted: of the held-out pairs, by the key frequencies alone.
    :param excluded: of its training pairs, without the key frequencies.
    """

    step: int
    spectrum: Spectrum
    embedding_K: Floats | None
    train: Measured
    held_out: Measured
    restricted: Measured
    excluded: Measured


@dataclass(frozen=True, eq=False)
class Inside:
    """One run looked into.

    :param title: what was trained, in words.
    :param grid: the order of its operands.
    :param views: at each step, increasing; the last is the end of the run.
    :param key_frequencies: those of the end, the largest share first.
    :param of_sum: whether they are of the sum, or of the difference of coordinates.
    :param told: sentences on where the learner came from.
    """

    title: str
    grid: Grid
    views: tuple[View, ...]
    key_frequencies: list[int]
    of_sum: bool
    told: tuple[str, ...] = ()

    @property
    def end(self) -> View:
        """What is seen at the end of the run."""
        return self.views[-1]

    @property
    def main(self) -> str:
        """What the key frequencies are of, as "a + b"."""
        return f"{self.grid.first} {'+' if self.of_sum else '−'} {self.grid.second}"


def look_inside(
    title: str,
    grid: Grid,
    looks: Iterable[Look],
    train: Part,
    held_out: Part,
    losses: Callable[[Any, Any], Any],
    told: tuple[str, ...] = (),
) -> Inside:
    """The views of a run at some steps, by the key frequencies of its end.

    :param looks: the end of the run first, which decides the key frequencies, then others in order.
    :param losses: of the learner: scores (N, C) and answers (N,) to losses (N,).
    """
    views: list[View] = []
    keys: list[int] = []
    of_sum = True
    for number, look in enumerate(looks):
        spectrum = spectrum_of(look.scores_NC, grid)
        if number == 0:
            keys, of_sum = spectrum.key_frequencies(), spectrum.of_sum
        restricted, excluded = by_key_frequencies(look.scores_NC, grid, keys, of_sum)
        embedding = None if look.embedded_SAD is None else spectrum_of_embedding(look.embedded_SAD)
        parts = ((look.scores_NC, train), (look.scores_NC, held_out), (restricted, held_out), (excluded, train))
        views.append(View(look.step, spectrum, embedding, *(measured(scores, part, losses) for scores, part in parts)))
    return Inside(title, grid, (*views[1:], views[0]), keys, of_sum, told)
