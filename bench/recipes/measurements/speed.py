"""How fast the fleet trains on this machine, beside one model in a Python loop: all in one run."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from bench.errors import RequestError
from bench.recipes.measurements._study import run_seeds
from bench.recipes.measurements.fleet_rates import Subject, fleets, product_rate, rates_of
from bench.recipes.measurements.plain_script import Script
from bench.results import describe
from bench.scheduling import resolve_device
from bench.specs import Cell, prepare
from learners.fleet import TorchLearner, keep_programs

REPLICAS = {"cpu": (1, 4, 8), "cuda": (1, 8, 64, 256)}
RUN_STEPS = 2000
RUN_REPLICAS = {"cpu": 4, "cuda": 64}
Say = Callable[[str], None]


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
    :param run: shares of the time of one benchmark run of 2,000 steps, by purpose; None where it was left out.
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
    say: Say = lambda line: None,
) -> Speed:
    """Measure scripts, fleets and a whole run, one after another.

    :param replicas: sizes of the fleets; None takes the usual ones of the device.
    :param precisions: None takes all that the learner and the device have.
    :param seconds: that each fleet is timed for, and each script before and after the fleets.
    :param compile: compile all programs, as a long run would.
    :param whole_run: also see where the time of a benchmark run of 2,000 steps goes.
    :param say: is called with a line for what is measured next, and for each figure.
    :raises KeyboardInterrupt: where that run was interrupted.
    :raises RequestError: for a learner that does not train in fleets, or that there is no script for.
    """
    keep_programs()  # before a script's optimizer makes PyTorch choose a temporary folder
    if not 0 < seconds < math.inf:
        raise RequestError(f"--seconds must be a finite number above 0, got {seconds}.")
    subject = Subject(learner, encoder, settings)
    device = resolve_device(device, subject.spec())
    if device == "cuda":  # scripts have one GPU: so have fleets
        device = "cuda:0"
    kind = device.partition(":")[0]
    cell = prepare(subject.spec())
    known = _precisions(cell, kind, precisions or ())
    scripts = {name: _script(cell, device, name == "usual") for name in ("usual", "lean")}
    windows = {name: _timed(name, "", script, device, seconds, say) for name, script in scripts.items()}
    rates = {precision: product_rate(device, precision) for precision in known}
    found = []
    for precision in precisions or known:
        for size in replicas or REPLICAS[kind]:
            who = f"{size} replica{'s' if size > 1 else ''} in {precision}"
            say(f"measuring {who} …")
            parts = fleets(subject, precision, size, device, seconds, compile)
            found.append((size, precision, parts))
            say(f"{who}: {sum(float(np.median(part['rates'])) for part in parts):,.0f} steps/s")
    for name, script in scripts.items():  # the machine may be busier than it was
        windows[name] += _timed(name, " once more", script, device, seconds, say)
    usual, lean = (float(np.median(windows[name])) for name in scripts)
    return Speed(
        device,
        str(describe(device, 1)["processor"]),
        learner,
        cast("TorchLearner", cell.learner).resolved_batch(cell.n_train),
        usual,
        lean,
        {name: (min(some), max(some)) for name, some in windows.items()},
        rates,
        [_row(size, precision, parts, usual, lean, rates[precision]) for size, precision, parts in found],
        _whole_run(subject, device, RUN_REPLICAS[kind], say) if whole_run else None,
    )


def _precisions(cell: Cell, kind: str, wanted: Sequence[str]) -> list[str]:
    """The precisions that the learner has on this kind of device, which those wanted must be among."""
    if not isinstance(cell.learner, TorchLearner):
        raise RequestError(f"--learner must be one that trains in fleets, got {cell.spec.learner['name']}.")
    known = [p for p in cell.learner.precisions if p != "tf32" or kind == "cuda"]
    for precision in wanted:
        if precision not in known:
            raise RequestError(f"--precision must be one of {', '.join(known)} here, got {precision}.")
    return known


def _script(cell: Cell, device: str, usual: bool) -> Callable[[int], None]:
    """One of the two scripts, as a function that does so many steps."""
    rows, learner = cell.split.test, cell.spec.make_learner()
    assert isinstance(learner, TorchLearner)
    try:
        return Script(learner, cell.problem, (rows, cell.task.answers_N[rows]), device, usual).run
    except ValueError as error:
        raise RequestError(str(error)) from error


def _timed(name: str, again: str, script: Callable[[int], None], device: str, seconds: float, say: Say) -> list[float]:
    say(f"measuring the {name} script{again} …")
    rates = rates_of(script, device, seconds)
    if not again:
        say(f"the {name} script: {float(np.median(rates)):,.1f} steps/s")
    return rates


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


def _whole_run(subject: Subject, device: str, replicas: int, say: Say) -> dict[str, Any]:
    """Where the time of a run goes: shares by purpose, of the seconds of all replicas."""
    say(f"measuring where the time of a run of {RUN_STEPS:,} steps with {replicas} seeds goes …")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mod97-") as folder:
        records = run_seeds(replicas, display=None, **vars(subject), steps=RUN_STEPS, device=device, results=folder)
    wall = time.perf_counter() - start
    total = sum(record["seconds"]["total"] for record in records)
    shares = {
        purpose: sum(record["seconds"][purpose] for record in records) / total
        for purpose in ("train", "evaluate", "compile", "probes", "harness")
    }
    return {"replicas": replicas, "steps": RUN_STEPS, "wall_seconds": wall, "shares": shares}
