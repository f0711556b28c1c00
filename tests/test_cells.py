"""Cells that are made together: what they share is what they would have had alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.harness.evaluation import Evaluator
from bench.specs.cell import prepare
from bench.specs.request import Request
from bench.specs.resolve import family, resolve

REQUEST: dict[str, Any] = {"encoder": "onehot", "learner": "quadratic", "modulus": 13, "train_fraction": 0.5}
OTHERS: list[dict[str, Any]] = [
    {},
    {"encoder": "random"},
    {"encoder": "random", "seeds": (1,)},
    {"encoder": "random", "settings": {"encoder.n": 40}},
    {"combine": "sum"},
    {"encoder": "cycle", "combine": "sum"},
    {"encoder": "cycle", "combine": "sum", "sdr": 20},
    {"pairs": "ordered"},
    {"pairs": "grouped"},
    {"train_fraction": 0.4},
    {"validation_fraction": 0.2},
    {"split_seed": 7},
    {"seeds": (2,)},
    {"modulus": 11},
    {"task": "multiply"},
    {"vault": {"fraction": 0.2, "seed": 1, "open": False}},
    {"vault": {"fraction": 0.2, "seed": 1, "open": True}},
    {"vault": {"fraction": 0.2, "seed": 2, "open": True}},
]


def test_cells_made_together_are_those_made_alone() -> None:
    known: dict[str, Any] = {}
    for other in OTHERS:
        [spec] = resolve(**REQUEST | other)
        together, alone = prepare(spec, known), prepare(spec)
        for part in ("train", "validation", "test"):
            assert np.array_equal(getattr(together.split, part), getattr(alone.split, part)), other
        for mine, theirs in ((together.problem.codes, alone.problem.codes),):
            assert np.array_equal(mine.table_UF, theirs.table_UF), other
            assert np.array_equal(mine.index_NS, theirs.index_NS), other
        assert np.array_equal(together.problem.y, alone.problem.y), other
        assert np.array_equal(together.task.answers_N, alone.task.answers_N), other
    assert len(known) == len(OTHERS)


@pytest.mark.parametrize("other", [{"learner": "torch-mlp"}, {"precision": "bfloat16"}, {"seed": 3}])
def test_cells_that_differ_in_what_learns_share_their_codes(other: dict[str, Any]) -> None:
    known: dict[str, Any] = {}
    first, second = (
        prepare(family(Request(**REQUEST | {"split_seed": 5} | some)).first, known) for some in ({}, other)
    )
    assert first.problem.codes is second.problem.codes
    first.problem.train[::-1].sort()  # a learner may do with its own rows as it likes
    assert np.array_equal(second.problem.train, second.split.train)
    assert np.array_equal(second.problem.y, second.task.answers_N[second.problem.train])


def test_while_a_vault_is_closed_validation_alone_is_looked_at() -> None:
    vault, request = {"fraction": 0.2, "seed": 1}, Request(**REQUEST, validation_fraction=0.2)
    closed, opened = (prepare(family(replace(request, vault={**vault, "open": one})).first) for one in (False, True))
    evaluator = Evaluator([closed, opened])
    assert np.array_equal(evaluator.rows[0], closed.split.validation)
    assert len(evaluator.rows[1]) == sum(map(len, (opened.split.train, opened.split.validation, opened.split.test)))
    scores = np.eye(13)[closed.task.answers_N[closed.split.validation]]
    [found] = evaluator.evaluate(scores[None], [0], lambda scores, y: np.ones(len(y)))
    assert found.accuracy == {"train": None, "validation": 1.0, "test": None}
    assert found.loss == {"train": None, "validation": 1.0, "test": None}
    assert found.diagonal is None
