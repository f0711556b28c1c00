"""How much longer does a sweep take on the workers of a Dask cluster than in worker processes of this machine?

    python -m bench.recipes.measurements.dask_overhead [--cells 1000] [--seconds 1] [--workers 2] [--blocks 4]

A scheduler and workers are started here as docs/machines.md says. The cells are runs of scikit-learn's MLP, each about
so many seconds of one core. They are divided into blocks: each is swept on the cluster and in local processes, in an
order that alternates, and a block of a few cells that is not counted comes first. Prints the seconds from the first
record of each sweep to its last, since local processes take seconds to start where workers are there already; the
ratio of both; and the seconds of processor time that this process and the cluster's scheduler took. Ends with 1 where
a record of one place differs from that of the other.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import exp, log
from pathlib import Path
from statistics import fmean
from typing import Any

import bench
from bench.recipes.measurements._study import parser_of, tell, timed
from bench.results import Record

CELL: dict[str, Any] = {"encoder": "cycle", "learner": "mlp"}
ALIKE = ("final", "curve", "parameters", "status")
"""What two records of a cell have in common, wherever they were made."""
QUIET = {"DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s", "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
"""The environment of a scheduler and workers that look at themselves once a second instead of 50 and 100 times."""


def steps_of(seconds: float) -> int:
    """The number of steps of a cell that takes so long here."""
    took = {}
    for number, steps in enumerate((1, 1, 51)):  # the first one imports what it needs
        start = time.perf_counter()
        bench.run(**CELL, steps=steps, seed=10**6 + number, results=None, jobs=1)
        took[steps] = time.perf_counter() - start
    return max(1, round(1 + (seconds - took[1]) * 50 / (took[51] - took[1])))


@contextmanager
def cluster(workers: int, folder: Path) -> Iterator[tuple[str, int]]:
    """A scheduler with so many workers: its address, and the number of its process."""
    import distributed

    file, environment = folder / "scheduler.json", os.environ | QUIET
    quiet: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    alone = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--scheduler-file", str(file))
    places = [("--name", str(number), "--local-directory", str(folder / str(number))) for number in range(workers)]
    parts = [
        ("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)),
        *(("worker", *alone, *place) for place in places),
    ]
    started = []
    try:
        for what, *arguments in parts:
            command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments, "--no-dashboard"]
            started.append(subprocess.Popen(command, **quiet))
        with distributed.Client(scheduler_file=str(file), set_as_default=False, timeout="60 s") as client:
            client.wait_for_workers(workers, timeout=60)
            address = client.scheduler.address
        yield address, started[0].pid
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def processor_seconds(process: int) -> float:
    """Seconds of processor time that a process has taken, on Linux."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sweep(steps: int, seeds: range, executor: str, workers: int) -> tuple[float, list[Record]]:
    """Seconds from the first record of a sweep to its last, and the records; it has a results folder of its own."""
    times: list[float] = []

    def arrived(record: Record | None) -> None:
        times.extend([] if record is None else [time.perf_counter()])

    with tempfile.TemporaryDirectory(prefix="mod97-dask-") as folder:
        grid = {**CELL, "steps": steps, "seed": list(seeds)}
        display: Any = lambda progress, runs: nullcontext(arrived)  # noqa: E731
        records = list(bench.sweep(grid, results=folder, executor=executor, jobs=workers, display=display))
    return times[-1] - times[0], records


def differs(one: Record, other: Record) -> bool:
    """Whether two records of a cell tell different things."""
    return any(one[name] != other[name] for name in ALIKE)  # type: ignore[literal-required]


def measured(options: argparse.Namespace, address: str, scheduler: int) -> Iterator[dict[str, Any]]:
    """The seconds of each block in both places."""
    steps, say = steps_of(options.seconds), timed()
    tell(f"A cell has {steps:,} steps.")
    places = {"local": "local", "dask": f"dask:{address}"}
    for executor in places.values():
        sweep(1, range(2 * options.workers), executor, options.workers)
    for block in range(options.blocks):
        seeds = range(block * options.cells // options.blocks, (block + 1) * options.cells // options.blocks)
        found: dict[str, Any] = {"cells": len(seeds)}
        kept: dict[str, list[Record]] = {}
        for name in sorted(places, reverse=bool(block % 2)):
            before = processor_seconds(scheduler), time.process_time()
            found[name], kept[name] = sweep(steps, seeds, places[name], options.workers)
            found[f"{name} here"] = time.process_time() - before[1]
            if name == "dask":
                found["scheduler"] = processor_seconds(scheduler) - before[0]
        found["differ"] = sum(map(differs, kept["local"], kept["dask"]))
        say(f"Block {block + 1} of {options.blocks}: {found['local']:.1f} s and {found['dask']:.1f} s.")
        yield found


def main(arguments: list[str] | None = None) -> int:
    """Print a table."""
    parser = parser_of(
        "dask_overhead",
        __doc__,
        cells=(1000, "in each place"),
        seconds=(1.0, "of one core for each cell"),
        workers=(2, "and as many local processes"),
        blocks=(4, "into which the cells are divided"),
    )
    options = parser.parse_args(arguments)
    if options.cells < 2 * options.blocks:
        parser.error("cells must be at least twice as many as blocks.")
    with tempfile.TemporaryDirectory(prefix="mod97-dask-") as folder, cluster(options.workers, Path(folder)) as at:
        print(
            "| cells | local, s | Dask, s | ratio | processor of this process, s: local | Dask | of the scheduler, s |"
        )
        print("|---|---|---|---|---|---|---|", flush=True)
        blocks = []
        for one in measured(options, *at):
            blocks.append(one)
            numbers = [one["local"], one["dask"], one["local here"], one["dask here"], one["scheduler"]]
            local, there, *processor = (f"{number:.1f}" for number in numbers)
            ratio = f"{one['dask'] / one['local']:.3f}"
            print(f"| {one['cells']} | {local} | {there} | {ratio} | {' | '.join(processor)} |", flush=True)
    ratios = [one["dask"] / one["local"] for one in blocks]
    mean = exp(fmean(map(log, ratios)))
    print(f"\nOn the cluster × {mean:.3f} ({min(ratios):.3f} to {max(ratios):.3f}), {len(blocks)} blocks.")
    differ = sum(one["differ"] for one in blocks)
    print(f"{differ} of {options.cells:,} records differ.")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
