"""Torch learners in several threads of one process: PyTorch's tracer changes modules for all of them while it works."""

import threading
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from learners import TorchMLP
from learners._exclusive import IN_PYTORCH
from learners._fleet import trace

X = np.random.default_rng(0).normal(size=(60, 6))
Y = np.arange(60) % 3


def fitted(seed: int, width: int = 16) -> np.ndarray:
    return TorchMLP((width,), steps=8, random_state=seed).fit(X, Y).predict_proba(X)


def test_nobody_else_is_in_pytorch_while_a_program_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    free: list[bool] = []
    make_fx = trace.make_fx

    def another_thread_tries() -> None:
        free.append(IN_PYTORCH.acquire(blocking=False))

    def watched(function: Any) -> Any:
        other = threading.Thread(target=another_thread_tries)
        other.start()
        other.join()
        return make_fx(function)

    monkeypatch.setattr(trace, "make_fx", watched)
    fitted(0, width=13)  # a shape that no other test has, so that it is traced anew
    assert free
    assert not any(free)


def test_threads_give_what_each_gives_alone() -> None:
    barrier, found = threading.Barrier(3), dict[int, Any]()

    def fit(seed: int) -> None:
        barrier.wait()
        found[seed] = fitted(seed, width=11)

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[seed], fitted(seed, width=11)) for seed in range(3))


def test_a_grid_search_over_threads() -> None:
    learner = TorchMLP((12,), steps=8, random_state=0)
    grid = {"optimizer__adamw__lr": [1e-3, 1e-2]}
    searches = []
    for backend, jobs in (("threading", 3), ("sequential", 1)):
        with joblib.parallel_backend(backend, n_jobs=jobs):
            searches.append(GridSearchCV(learner, grid, cv=3, error_score="raise").fit(X, Y))
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    assert np.array_equal(*scores)
