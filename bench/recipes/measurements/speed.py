"""How fast the fleet trains on this machine, beside one model in a Python loop: all in one run."""

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from joblib.externals.loky.process_executor import ProcessPoolExecutor

from bench.errors import RequestError
from bench.executors.lifetime import begin_worker
from bench.executors.memory import keep_freed_memory
from bench.recipes.measurements.plain_script import Script
from bench.results.environment import describe, peak_memory_bytes, reset_peak_memory
from bench.scheduling.devices import places, prepared_device
from bench.scheduling.run import run as run_cells
from bench.specs.cell import Cell, prepare
from bench.specs.resolve import resolve
from bench.specs.spec import Spec
from learners import Setting
from learners._fleet.compiler import keep_programs
from learners._fleet.training import FleetTraining
from learners._torch import TorchLearner

__all__ = ["Row", "Speed", "measure"]

REPLICAS = {"cpu": (1, 4, 8), "cuda": (1, 8, 64, 256)}
MANY = 10**9
"""Steps that make every compilation worth while."""
WINDOWS = 5
"""Parts of the time that is taken: what is told is the median of their rates, the lowest and the highest."""
PATIENCE = 600.0
"""Seconds that a process waits for the others."""
SIDES = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}
"""Of the products that show a device's rate."""
RUN_STEPS = 2000
RUN_REPLICAS = {"cpu": 4, "cuda": 64}


@dataclass(frozen=True)
class Row:
    """One fleet.

    :param model_steps_per_second: the median of several windows, and
    :param window_range: the lowest and the highest; of several processes sums of each one's.
    :param ratio: of the median to the usual script's, and
    :param lean_ratio: to the lean one's.
    :param of_product_rate: floating-point operations of its products, as a fraction of the device's measured rate.
    """

    replicas: int
    precision: str
    compiled: bool
    model_steps_per_second: float
    window_range: tuple[float, float]
    ratio: float
    lean_ratio: float
    of_product_rate: float
    compile_seconds: float
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class Speed:
    """What was measured.

    :param script_ranges: the lowest and the highest window of each script, of which one half was taken before the
        fleets and the other after them.
    :param product_flops_per_second: of large matrix products, the best of some sizes, by precision.
    :param run: shares of the time of one benchmark run of 2,000 steps, by purpose; None where it was not asked for.
    """

    device: str
    processor: str
    learner: str
    batch: int
    usual_script_steps_per_second: float
    lean_script_steps_per_second: float
    script_ranges: dict[str, tuple[float, float]]
    product_flops_per_second: dict[str, float]
    rows: list[Row]
    run: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def measure(
    learner: str = "transformer",
    encoder: str = "onehot",
    settings: dict[str, Any] | None = None,
    device: str = "auto",
    replicas: Sequence[int] | None = None,
    precisions: Sequence[str] | None = None,
    seconds: float = 5.0,
    compile: bool = True,
    whole_run: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Speed:
    """Measure scripts, fleets and a whole run, one after another.

    :param replicas: sizes of the fleets; None takes the usual ones of the device.
    :param precisions: None takes all that the learner and the device have.
    :param seconds: that each fleet is timed for, and each script before and after the fleets.
    :param compile: compile all programs, as a long run would.
    :param whole_run: also see where the time of a benchmark run of 2,000 steps goes.
    :param say: is told what is measured, and each figure as it comes.
    :raises KeyboardInterrupt: where that run was interrupted.
    :raises RequestError: for a learner that does not train in fleets, or that nobody wrote a script for.
    """
    keep_programs()  # an optimizer of a script would have PyTorch settle for a temporary folder
    if not 0 < seconds < math.inf:
        raise RequestError(f"--seconds must be a finite number above 0, got {seconds}.")
    spec = _spec(learner, encoder, settings, "float32", 0)
    device = prepared_device(device, spec)
    if device == "cuda":  # scripts have one GPU: so have fleets
        device = "cuda:0"
    kind = device.partition(":")[0]
    made = spec.make_learner()
    if not isinstance(made, TorchLearner):
        raise RequestError(f"--learner must be one that trains in fleets, got {learner}.")
    sizes = list(replicas or REPLICAS[kind])
    known = [p for p in type(made).precisions if p != "tf32" or kind == "cuda"]
    for precision in precisions or ():
        if precision not in known:
            raise RequestError(f"--precision must be one of {', '.join(known)} here, got {precision}.")
    cell = prepare(spec)
    scripts = {}
    windows: dict[str, list[float]] = {}
    for name, reads in (("usual", True), ("lean", False)):
        say(f"measuring the {name} script …")
        try:
            scripts[name] = _script(cell, device, reads)
        except ValueError as error:
            raise RequestError(str(error)) from error
        windows[name] = _rates(scripts[name], device, seconds)
        say(f"the {name} script: {float(np.median(windows[name])):,.1f} steps/s")
    rates = {precision: product_rate(device, precision) for precision in known}
    fleets = []
    for precision in precisions or known:
        for size in sizes:
            who = f"{size} replica{'s' if size > 1 else ''} in {precision}"
            say(f"measuring {who} …")
            found = _fleets(learner, encoder, settings, precision, size, device, seconds, compile)
            fleets.append((size, precision, found))
            say(f"{who}: {sum(float(np.median(f['rates'])) for f in found):,.0f} steps/s")
    for name, script in scripts.items():  # the machine may be busier than it was
        say(f"measuring the {name} script once more …")
        windows[name] += _rates(script, device, seconds)
    usual, lean = (float(np.median(windows[name])) for name in ("usual", "lean"))
    rows = [_row(size, precision, found, usual, lean, rates[precision]) for size, precision, found in fleets]
    if whole_run:
        say(f"measuring where the time of a run of {RUN_STEPS:,} steps with {RUN_REPLICAS[kind]} seeds goes …")
    return Speed(
        device,
        str(describe(device, 1)["processor"]),
        learner,
        made.resolved_batch(cell.n_train),
        usual,
        lean,
        {name: (min(some), max(some)) for name, some in windows.items()},
        rates,
        rows,
        _whole_run(learner, encoder, settings, device, RUN_REPLICAS[kind]) if whole_run else None,
    )


def _row(size: int, precision: str, found: list[dict[str, Any]], usual: float, lean: float, rate: float) -> Row:
    """What processes measured of one fleet, together."""
    medians = [float(np.median(f["rates"])) for f in found]
    speed = sum(medians)
    memory = [f["memory"] for f in found if f["memory"] is not None]
    return Row(
        size,
        precision,
        all(f["compiled"] for f in found),
        speed,
        (sum(min(f["rates"]) for f in found), sum(max(f["rates"]) for f in found)),
        speed / usual,
        speed / lean,
        sum(f["flops"] * median for f, median in zip(found, medians, strict=True)) / rate,
        max(f["compile"] for f in found),
        sum(memory) if memory else None,
    )


def _spec(learner: str, encoder: str, settings: dict[str, Any] | None, precision: str, seed: int) -> Spec:
    [spec] = resolve(encoder=encoder, learner=learner, settings=settings, precision=precision, seeds=[seed])
    return spec


def _script(cell: Cell, device: str, usual: bool) -> Callable[[int], None]:
    rows = cell.split.test
    learner = cell.spec.make_learner()
    assert isinstance(learner, TorchLearner)
    return Script(learner, cell.problem, (rows, cell.task.answers_N[rows]), device, usual).run


def _rates(run: Callable[[int], None], device: str, seconds: float) -> list[float]:
    """Steps a second in each window, by the clock; the first, which warms up, does not count."""
    block, rates = 64 if device.startswith("cuda") else 2, []
    for _ in range(WINDOWS + 1):
        done, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds / WINDOWS or not done:
            run(block)
            _synchronize(device)
            done += block
        rates.append(done / spent)
    return rates[1:]


def _synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _fleets(
    learner: str,
    encoder: str,
    settings: dict[str, Any] | None,
    precision: str,
    size: int,
    device: str,
    seconds: float,
    compile: bool,
) -> list[dict[str, Any]]:
    """A fleet in as many processes as the benchmark would give it."""
    parts = places(device, size, MANY, joblib.cpu_count())
    with tempfile.TemporaryDirectory(prefix="mod97-") as folder:
        meet = Meeting(folder, len(parts))
        jobs = [
            (
                _fleet,
                learner,
                encoder,
                settings,
                precision,
                range(size)[n :: len(parts)],
                place,
                threads,
                seconds,
                compile,
                meet,
            )
            for n, (place, threads) in enumerate(parts)
        ]
        with _processes(len(parts), device) as pool:  # also for one: scripts have a process as it was
            futures = [pool.submit(*job) for job in jobs]
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()  # the others would wait for one that failed
            return [future.result() for future in futures]


@contextmanager
def _processes(number: int, device: str) -> Iterator[ProcessPoolExecutor]:
    """Fresh worker processes, ended with the block, at once where it fails, or with this process."""
    pool = ProcessPoolExecutor(number, initializer=begin_worker, initargs=(os.getpid(), device != "cpu"))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, kill_workers=True)
        raise
    pool.shutdown()


@dataclass(frozen=True)
class Meeting:
    """Where processes wait for each other, so that they are timed while all of them work."""

    folder: str
    number: int

    def __call__(self) -> None:
        """Return once all are here."""
        Path(self.folder, str(os.getpid())).touch()
        until = time.monotonic() + PATIENCE
        while len(os.listdir(self.folder)) < self.number and time.monotonic() < until:
            time.sleep(0.01)


def _fleet(
    learner: str,
    encoder: str,
    settings: dict[str, Any] | None,
    precision: str,
    seeds: Sequence[int],
    device: str,
    threads: int,
    seconds: float,
    compile: bool,
    meet: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    keep_freed_memory()
    torch.set_num_threads(threads)
    reset_peak_memory(device)
    specs = [_spec(learner, encoder, settings, precision, seed) for seed in seeds]
    cells = [prepare(spec) for spec in specs]
    setting = Setting(device, precision, MANY if compile else 0)
    training = FleetTraining([cell.learner for cell in cells], [cell.problem for cell in cells], setting)
    everyone, done = range(len(cells)), 0

    def run(steps: int) -> None:
        nonlocal done
        done += steps
        training.advance(done, everyone)

    run(1)
    meet()
    rates = _rates(run, device, seconds)
    return {
        "rates": [rate * len(cells) for rate in rates],
        "flops": training.product_flops,
        "compiled": training.compiled,
        "compile": training.compile_seconds,
        "memory": peak_memory_bytes(device),
    }


def product_rate(device: str, precision: str) -> float:
    """Floating-point operations a second of square products, by the kernel that the fleet would use: the best of some
    sizes, since the largest is not always the fastest.
    """
    from learners._kernels.products import matmul, tensor_cores

    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    best = 0.0
    with tensor_cores(precision):
        for n in SIDES[device.partition(":")[0]]:
            a, b = (torch.randn(1, n, n, device=device).to(dtype) for _ in range(2))
            for _ in range(6):
                _synchronize(device)
                start = time.perf_counter()
                matmul(a, b)
                _synchronize(device)
                best = max(best, 2 * n**3 / (time.perf_counter() - start))
    return best


def _whole_run(
    learner: str, encoder: str, settings: dict[str, Any] | None, device: str, replicas: int
) -> dict[str, Any]:
    """Where the time of a run goes: shares by purpose, of the seconds of all replicas."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mod97-") as folder:
        records = run_cells(
            encoder=encoder,
            learner=learner,
            settings=settings,
            seeds=replicas,
            steps=RUN_STEPS,
            device=device,
            results=folder,
        )
    wall = time.perf_counter() - start
    if len(records) < replicas or any(record["status"] == "interrupted" for record in records):
        raise KeyboardInterrupt
    total = sum(record["seconds"]["total"] for record in records)
    shares = {
        purpose: sum(record["seconds"][purpose] for record in records) / total
        for purpose in ("train", "evaluate", "compile", "probes", "harness")
    }
    return {"replicas": replicas, "steps": RUN_STEPS, "wall_seconds": wall, "shares": shares}
