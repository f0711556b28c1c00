"""Encoders with the oldest releases that they support, and nothing else installed: ``make oldest`` runs this.

It is no test of pytest, since that environment has neither pytest nor torch, as that of who wants encoders alone.
"""

import json
import sys
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.utils.estimator_checks import check_estimator

import encoders


def main() -> None:
    """Run scikit-learn's own checks of every encoder, and compare its codes with those that are kept."""
    assert find_spec("torch") is None
    assert find_spec("pandas") is None
    names = _classes()
    assert len(names) == len(_golden())
    for name in names:
        _check(getattr(encoders, name))
    packages = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "numpy", "scipy"))
    print(f"{len(names)} encoders pass scikit-learn's checks with {packages}.")


def _golden() -> list[Path]:
    return sorted((Path(__file__).parent / "golden").glob("encoder-*.json"))


def _classes() -> list[str]:
    names = {path.stem.removeprefix("encoder-").replace("-", "") for path in _golden()}
    return [name for name in dir(encoders) if name.lower() in names]


def _check(cls: type) -> None:
    encoder = cls(**cls.example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            encoder, expected_failed_checks=dict(cls.inapplicable_checks), on_fail=None, on_skip=None
        )
    failed = {r["check_name"]: str(r["exception"]) for r in results if r["status"] == "failed"}
    assert not failed, f"{cls.__name__}: {failed}"
    assert sum(r["status"] == "passed" for r in results) >= 45, cls.__name__
    [golden] = [path for path in _golden() if path.stem[8:].replace("-", "") == cls.__name__.lower()]
    kept = json.loads(golden.read_text(encoding="utf-8"))["numbers"]
    values = np.arange(13.0)[:, np.newaxis]
    codes = np.asarray(encoder.fit_transform(values), dtype=np.float64)
    weights = np.sin(np.arange(codes.shape[1]) + 1.0)
    assert np.allclose(codes @ weights, kept[:13], atol=2e-5), cls.__name__


if __name__ == "__main__":
    sys.exit(main())
