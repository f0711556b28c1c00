"""Rates by the clock: steps a second in several windows, of a fleet in as many processes as the benchmark would give
it, and operations a second of large products.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import joblib
import torch
from loky.process_executor import ProcessPoolExecutor

from bench.executors import NO_LEAK_RESTART, begin_worker, keep_freed_memory
from bench.results import peak_memory_bytes, reset_peak_memory
from bench.scheduling import fleet_parts
from bench.specs import Request, Spec, family, prepare
from learners import Setting
from learners.fleet import FleetTraining, TorchLearner, matmul, tensor_cores

WINDOWS = 5
"""Parts of the measured time, each with a rate of its own: reported are the median, the lowest and the highest."""
SIDES = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}
"""Sides of the square matrices whose products show a device's rate."""
REPEATS = 6
MANY = 10**9
"""Steps after which every compilation has repaid itself."""
PATIENCE = 600.0
"""Seconds that a process waits for the others."""


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


@dataclass(frozen=True)
class Subject:
    """What is measured: a learner with an encoder and settings."""

    learner: str
    encoder: str
    settings: dict[str, Any] | None

    def spec(self, precision: str = "float32", seed: int = 0) -> Spec:
        """One seed of it."""
        return family(Request(**vars(self), precision=precision), seed).first


def fleets(
    subject: Subject, precision: str, size: int, device: str, seconds: float, compile: bool
) -> list[dict[str, Any]]:
    """What each process measures of a fleet of ``size`` replicas: rates, operations, memory, seconds of compiling."""
    parts = fleet_parts(device, size, MANY, joblib.cpu_count())
    with tempfile.TemporaryDirectory(prefix="mod97-") as folder:
        meet = partial(_meet, folder, len(parts))
        with _processes(len(parts), device) as pool:  # also for one: scripts have a process as it was
            futures = [
                pool.submit(
                    _fleet, subject, precision, range(size)[n :: len(parts)], place, threads, seconds, compile, meet
                )
                for n, (place, threads) in enumerate(parts)
            ]
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()  # the others would wait for one that failed
            return [future.result() for future in futures]


@contextmanager
def _processes(number: int, device: str) -> Iterator[ProcessPoolExecutor]:
    """Fresh worker processes, ended with the block, at once where it fails, or with this process."""
    pool = ProcessPoolExecutor(number, initializer=begin_worker, initargs=(os.getpid(),), env=NO_LEAK_RESTART)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, kill_workers=True)
        raise
    pool.shutdown()


def _meet(folder: str, number: int) -> None:
    """Return once so many processes have left a file in a folder, so that all are timed while all work."""
    Path(folder, str(os.getpid())).touch()
    until = time.monotonic() + PATIENCE
    while len(os.listdir(folder)) < number and time.monotonic() < until:
        time.sleep(0.01)


def _fleet(
    subject: Subject,
    precision: str,
    seeds: Sequence[int],
    device: str,
    threads: int,
    seconds: float,
    compile: bool,
    meet: Callable[[], None],
) -> dict[str, Any]:
    keep_freed_memory()
    torch.set_num_threads(threads)
    reset_peak_memory(device)
    cells = [prepare(subject.spec(precision, seed)) for seed in seeds]
    setting = Setting(device, precision, MANY if compile else 0)
    training = FleetTraining(
        [cast("TorchLearner", cell.learner) for cell in cells], [cell.problem for cell in cells], setting
    )
    everyone, done = range(len(cells)), 0

    def run(steps: int) -> None:
        nonlocal done
        done += steps
        training.advance(done, everyone)

    run(1)
    meet()
    rates = rates_of(run, device, seconds)
    return {
        "rates": [rate * len(cells) for rate in rates],
        "flops": training.product_flops,
        "compiled": training.compiled,
        "compile": training.compile_seconds,
        "memory": peak_memory_bytes(device),
    }
