"""Measures what learners say against answers that they do not have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.results import PARTS, finite, right
from bench.specs import Cell


@dataclass(frozen=True)
class Verdict:
    """Accuracy and mean loss of one replica by part, and the accuracy of its test pairs a = b.

    :param accuracy: by part; None where a part has no pairs.
    :param loss: likewise, and None where it is no finite number.
    :param diagonal: None where there are no such pairs.
    """

    accuracy: dict[str, float | None]
    loss: dict[str, float | None]
    diagonal: float | None


class Judge:
    """Holds the answers of all pairs of some cells.

    Of every cell it asks about ``rows``: the training pairs, then validation, then test. While a vault is closed these
    are validation alone: nobody reads other accuracies of such a cell, and training pairs are several times as many.
    Scores that are tensors are measured where they are, all replicas at once: one small transfer for each look.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = list(cells)
        self.rows = [np.concatenate(_asked(cell)) for cell in cells]
        self._whole: tuple[Any, Any, Any] | None = None

    def measure(self, scores_RNC: Any, asked: Sequence[int], losses: Callable[[Any, Any], Any]) -> list[Verdict]:
        """A verdict on each of the cells asked about.

        :param losses: of the learner: scores (…, C) and answers (…) to losses (…).
        """
        if isinstance(scores_RNC, np.ndarray):
            return [
                self._one(scores, self.cells[r], self.rows[r], losses)
                for scores, r in zip(scores_RNC, asked, strict=True)
            ]
        return self._together(scores_RNC, asked, losses)

    def _one(self, scores_NC: Any, cell: Cell, rows: Any, losses: Callable[[Any, Any], Any]) -> Verdict:
        answers = cell.task.answers_N[rows]
        hits, lost = right(scores_NC[: len(rows)], answers), losses(scores_NC[: len(rows)], answers)
        kinds = _kinds(cell, rows)
        sums = [[float(hits[kinds == k].sum()), float(lost[kinds == k].sum())] for k in range(KINDS)]
        return _verdicts(_counts(kinds)[None], np.array(sums)[None])[0]

    def _together(self, scores_RNC: Any, asked: Sequence[int], losses: Callable[[Any, Any], Any]) -> list[Verdict]:
        import torch

        counts_RK, answers_RN, of_kind_RK1N = self._of(asked, scores_RNC.device)
        rows = scores_RNC.shape[1]
        answers_RN, of_kind_RK1N = answers_RN[:, :rows], of_kind_RK1N[..., :rows]
        hits_RN = scores_RNC.argmax(-1) == answers_RN
        found_R1MN = torch.stack([hits_RN.double(), losses(scores_RNC, answers_RN).double()], dim=1).unsqueeze(1)
        sums_RKM = torch.where(of_kind_RK1N, found_R1MN, 0.0).sum(-1)
        return _verdicts(counts_RK, sums_RKM.cpu().numpy())

    def _of(self, asked: Sequence[int], device: Any) -> tuple[Any, Any, Any]:
        """Of the cells asked about: how many rows of each kind, their answers, and which row is of which kind."""
        if self._whole is None:
            self._whole = self._of_all(device)
        if list(asked) == list(range(len(self.cells))):
            return self._whole
        counts_RK, *tensors = self._whole
        return counts_RK[list(asked)], *(x[list(asked)] for x in tensors)

    def _of_all(self, device: Any) -> tuple[Any, Any, Any]:
        import torch

        kinds = [_kinds(cell, rows) for cell, rows in zip(self.cells, self.rows, strict=True)]
        shape = len(self.cells), max(map(len, self.rows))
        answers_RN, kinds_RN = np.zeros(shape, np.int64), np.full(shape, -1)
        for r, rows in enumerate(self.rows):
            answers_RN[r, : len(rows)] = self.cells[r].task.answers_N[rows]
            kinds_RN[r, : len(rows)] = kinds[r]
        of_kind_RK1N = kinds_RN[:, None, None] == np.arange(KINDS)[:, None, None]
        counts_RK = np.stack([_counts(mine) for mine in kinds])
        return counts_RK, torch.as_tensor(answers_RN, device=device), torch.as_tensor(of_kind_RK1N, device=device)


DIAGONAL = len(PARTS)


KINDS = len(PARTS) + 1


def _asked(cell: Cell) -> list[Any]:
    """Of each part the rows that are looked at."""
    vault = cell.spec.vault
    wanted = PARTS if vault is None or vault["open"] or not cell.split.validation.size else ("validation",)
    parts = [getattr(cell.split, part) for part in PARTS]
    return [rows if part in wanted else rows[:0] for part, rows in zip(PARTS, parts, strict=True)]


def _kinds(cell: Cell, rows: Any) -> Any:
    """Of each row the part, by number; test pairs a = b have a number of their own."""
    kinds = np.repeat(np.arange(len(PARTS)), [len(part) for part in _asked(cell)])
    pairs = cell.task.pairs_N2[rows]
    kinds[(kinds == PARTS.index("test")) & (pairs[:, 0] == pairs[:, 1])] = DIAGONAL
    return kinds


def _counts(kinds: Any) -> Any:
    return np.bincount(kinds, minlength=KINDS)


def _verdicts(counts_RK: Any, sums_RKM: Any) -> list[Verdict]:
    """From numbers of rows of each kind, and hits and losses summed over them."""
    test = PARTS.index("test")
    numbers_RP, totals_RPM = counts_RK[:, :DIAGONAL].copy(), sums_RKM[:, :DIAGONAL].copy()
    numbers_RP[:, test] += counts_RK[:, DIAGONAL]
    totals_RPM[:, test] += sums_RKM[:, DIAGONAL]
    with np.errstate(divide="ignore", invalid="ignore"):
        means_RPM = totals_RPM / numbers_RP[..., None]
        diagonals_R = sums_RKM[:, DIAGONAL, 0] / counts_RK[:, DIAGONAL]
    found = []
    for means_PM, diagonal in zip(means_RPM.tolist(), diagonals_R.tolist(), strict=True):
        accuracy, loss = ({part: finite(own[m]) for part, own in zip(PARTS, means_PM, strict=True)} for m in (0, 1))
        found.append(Verdict(accuracy, loss, finite(diagonal)))
    return found
