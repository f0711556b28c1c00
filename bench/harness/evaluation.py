"""Evaluates the scores of learners against answers that the learners do not have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.results import PARTS, finite, is_correct
from bench.specs import Cell

DIAGONAL = len(PARTS)
"""The kind of test pairs a = b. The kind of any other pair is the place of its part in `PARTS`."""
KINDS = len(PARTS) + 1
Losses = Callable[[Any, Any], Any]
"""The losses of a learner: scores (…, C) and answers (…) to losses (…)."""


@dataclass(frozen=True)
class Evaluation:
    """Accuracy and mean loss of one replica.

    :param accuracy: by part; None if a part has no pairs.
    :param loss: likewise, and None if it is not finite.
    :param diagonal: the accuracy of test pairs a = b; None if there are none.
    """

    accuracy: dict[str, float | None]
    loss: dict[str, float | None]
    diagonal: float | None


class Evaluator:
    """Evaluates replicas on the pairs ``rows`` of their cells: training pairs, then validation, then test.

    While the vault of a cell is closed, ``rows`` are its validation pairs only, if it has any: training pairs are
    skipped, since they are many and nobody reads their accuracy, and there are no test pairs yet. Training pairs are
    right where they are answered as they were taught, with label noise, too. Scores that are
    tensors are evaluated on their device, all replicas at once, with one small transfer for each evaluation.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = list(cells)
        parts = [_evaluated_parts(cell) for cell in cells]
        self.rows = [np.concatenate(rows) for rows in parts]
        self.kinds = [_kinds(cell, rows) for cell, rows in zip(cells, parts, strict=True)]
        self._tables: tuple[Any, Any, Any] | None = None

    def evaluate(self, scores_RNC: Any, replicas: Sequence[int], losses: Losses) -> list[Evaluation]:
        """Evaluate some replicas.

        :param replicas: the numbers of the replicas, in the order of their scores.
        """
        if isinstance(scores_RNC, np.ndarray):
            return [self._evaluate_one(scores, r, losses) for scores, r in zip(scores_RNC, replicas, strict=True)]
        return self._evaluate_together(scores_RNC, replicas, losses)

    def _evaluate_one(self, scores_NC: Any, r: int, losses: Losses) -> Evaluation:
        rows, kinds = self.rows[r], self.kinds[r]
        answers = self.cells[r].answers_N[rows]
        hits, losses_N = is_correct(scores_NC[: len(rows)], answers), losses(scores_NC[: len(rows)], answers)
        sums = [[float(hits[kinds == k].sum()), float(losses_N[kinds == k].sum())] for k in range(KINDS)]
        return _evaluations(_counts(kinds)[None], np.array(sums)[None])[0]

    def _evaluate_together(self, scores_RNC: Any, replicas: Sequence[int], losses: Losses) -> list[Evaluation]:
        import torch

        if self._tables is None:
            self._tables = self._make_tables(scores_RNC.device)
        tables: Sequence[Any] = self._tables
        if list(replicas) != list(range(len(self.cells))):
            tables = [table[list(replicas)] for table in tables]
        counts_RK, answers_RN, of_kind_RK1N = tables
        rows = scores_RNC.shape[1]
        answers_RN, of_kind_RK1N = answers_RN[:, :rows], of_kind_RK1N[..., :rows]
        hits_RN = scores_RNC.argmax(-1) == answers_RN
        found_R1MN = torch.stack([hits_RN.double(), losses(scores_RNC, answers_RN).double()], dim=1).unsqueeze(1)
        sums_RKM = torch.where(of_kind_RK1N, found_R1MN, 0.0).sum(-1)
        return _evaluations(counts_RK, sums_RKM.cpu().numpy())

    def _make_tables(self, device: Any) -> tuple[Any, Any, Any]:
        """For all replicas the numbers of rows of each kind, the answers, and whether each row is of each kind."""
        import torch

        shape = len(self.cells), max(map(len, self.rows))
        answers_RN, kinds_RN = np.zeros(shape, np.int64), np.full(shape, -1)
        for r, rows in enumerate(self.rows):
            answers_RN[r, : len(rows)] = self.cells[r].answers_N[rows]
            kinds_RN[r, : len(rows)] = self.kinds[r]
        of_kind_RK1N = kinds_RN[:, None, None] == np.arange(KINDS)[:, None, None]
        counts_RK = np.stack([_counts(kinds) for kinds in self.kinds])
        return counts_RK, torch.as_tensor(answers_RN, device=device), torch.as_tensor(of_kind_RK1N, device=device)


def _evaluated_parts(cell: Cell) -> list[Any]:
    """The rows of each part that are evaluated."""
    vault = cell.spec.vault
    wanted = PARTS if vault is None or vault["open"] or not cell.split.validation.size else ("validation",)
    parts = [getattr(cell.split, part) for part in PARTS]
    return [rows if part in wanted else rows[:0] for part, rows in zip(PARTS, parts, strict=True)]


def _kinds(cell: Cell, parts: Sequence[Any]) -> Any:
    """The kind of each row."""
    kinds = np.repeat(np.arange(len(PARTS)), [len(rows) for rows in parts])
    if len(cell.task.sizes) == 2:
        a, b = cell.task.operands_NK[np.concatenate(parts)].T
        kinds[(kinds == PARTS.index("test")) & (a == b)] = DIAGONAL
    return kinds


def _counts(kinds: Any) -> Any:
    return np.bincount(kinds, minlength=KINDS)


def _evaluations(counts_RK: Any, sums_RKM: Any) -> list[Evaluation]:
    """Evaluations from the numbers of rows of each kind, and the sums of hits and losses over them."""
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
        found.append(Evaluation(accuracy, loss, finite(diagonal)))
    return found
