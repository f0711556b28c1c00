"""How long OpenMP's threads spin is set before PyTorch reads it, and only where nobody has set it."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_threads_spin_briefly_unless_somebody_says_otherwise(given: dict[str, str], found: str) -> None:
    own = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import sys, os, bench; print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))"
    said = subprocess.run([sys.executable, "-c", code], env=own | given, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", found]
