"""What the contract suites of encoders and learners have in common."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from bench.specs import registry
from bench.specs.docstrings import documentation
from bench.specs.fake_trials import RandomTrial, RecordingTrial
from bench.specs.parameters import defaults_of


def discovered(kind: registry.Kind) -> list[Any]:
    """Every plugin of a kind, as parameters of a test; one that is unavailable fails."""
    return [pytest.param(name, id=name) for name in registry.listings(kind)]


def check_documented(cls: type) -> None:
    """Formula or claim, source, every parameter, and what it raises."""
    text = documentation(cls)
    assert "Source:" in text
    assert ":raises ValueError:" in text
    assert ">>>" in text
    for name in defaults_of(cls):
        assert f":param {name}:" in text, f"{name} is not documented"
    for hook in ("suggest", "check"):
        assert inspect.getdoc(getattr(cls, hook))


def check_constructor_only_assigns(cls: Any) -> None:
    """What goes in stays as it is, whatever it is; rules apply later."""
    marks = {name: object() for name in defaults_of(cls)}
    instance = cls(**marks)
    assert all(getattr(instance, name) is mark for name, mark in marks.items())


def check_search_space(cls: Any) -> None:
    """Everything that the space can give is accepted, and a draw is of the class's own parameters."""
    middle = cls.suggest(RecordingTrial())
    assert set(middle) <= set(defaults_of(cls))
    required = getattr(cls, "benchmark_defaults", {})
    for seed in range(30):
        cls(**{**required, **cls.suggest(RandomTrial(np.random.default_rng(seed)))}).check()


def check_by_scikit_learn(instance: Any, inapplicable: Mapping[str, str], at_least: int) -> None:
    """scikit-learn's own checks; what cannot apply is named with a reason, and what ran is counted."""
    assert len(inapplicable) <= 3
    assert all(reason.strip() for reason in inapplicable.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(instance, expected_failed_checks=dict(inapplicable), on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not failed
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}  # needs SCIPY_ARRAY_API=1 and array-api packages
    assert sum(r["status"] == "passed" for r in results) >= at_least
    excused = {r["check_name"] for r in results if r["status"] == "xfail"}
    assert excused == set(inapplicable), "a check that passes needs no excuse"
