"""Rates by the clock: steps a second in several windows, and operations a second of large products."""

import time
from collections.abc import Callable

import torch

from learners.fleet import matmul, tensor_cores

WINDOWS = 5
"""Parts of the measured time, each with a rate of its own: reported are the median, the lowest and the highest."""
SIDES = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}
"""Sides of the square matrices whose products show a device's rate."""
REPEATS = 6


def rates_of(run: Callable[[int], None], device: str, seconds: float) -> list[float]:
    """Steps a second in each window. The first window warms up and does not count.

    :param run: does so many steps.
    :param seconds: of all windows that count, together.
    """
    block, rates = 64 if device.startswith("cuda") else 2, []
    for _ in range(WINDOWS + 1):
        done, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds / WINDOWS or not done:
            run(block)
            _synchronize(device)
            done += block
        rates.append(done / spent)
    return rates[1:]


def product_rate(device: str, precision: str) -> float:
    """Floating-point operations a second of square products, by the kernel that the fleet uses: the best of several
    sizes, since the largest is not always the fastest.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    best = 0.0
    with tensor_cores(precision):
        for n in SIDES[device.partition(":")[0]]:
            a, b = (torch.randn(1, n, n, device=device).to(dtype) for _ in range(2))
            for _ in range(REPEATS):
                _synchronize(device)
                start = time.perf_counter()
                matmul(a, b)
                _synchronize(device)
                best = max(best, 2 * n**3 / (time.perf_counter() - start))
    return best


def _synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
