"""Kill a running sweep again and again: is anything lost?

``python -m bench.recipes.measurements.kills --kills 300``

A sweep of many small cells is started and ended by SIGKILL at a random moment, its main process alone or all of its
processes (as when the power fails), over and over on one results folder until all cells are done; then on the next
folder. After each kill every record must be whole, every cell that was done must still be, and its record must be the
same file: one that is written anew was computed twice.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from bench.errors import StoreError
from bench.recipes.measurements._telling import tell, timed
from bench.results.store import Store
from bench.results.words import about

__all__ = ["Told", "burst"]

GRID = {
    "modulus": 11,
    "seeds": 6,
    "encoder": ["onehot", "phasor", "binary", "thermometer"],
    "learner": ["ridge", "knn", {"mlp": {"hidden_layer_sizes": [[8], [12], [16]], "epochs": 20}}],
}


SAID_EVERY = 10
"""Kills between two lines of progress."""


@dataclass
class Told:
    """What was seen.

    :param lost: cells that were done and no longer are.
    :param corrupt: records that are not whole.
    :param twice: records of done cells that were written again.
    :param cells: of the last folder, and how many are
    :param done: in the end.
    """

    kills: int = 0
    folders: int = 1
    lost: int = 0
    corrupt: int = 0
    twice: int = 0
    cells: int = 0
    done: int = 0


def _watch(folder: Path, seen: dict[str, tuple[int, int]], told: Told) -> dict[str, tuple[int, int]]:
    """Which cells are done, by the identity of their records' files; compares with what was seen before."""
    now: dict[str, tuple[int, int]] = {}
    if not folder.exists():
        return now
    store = Store(folder)
    for id in store.ids():
        try:
            record = store.read(id)
        except StoreError:
            told.corrupt += 1
            continue
        if record is not None and record["status"] == "done":
            stat = store.path(id).stat()
            now[id] = stat.st_ino, stat.st_mtime_ns
    told.lost += len(seen.keys() - now.keys())
    told.twice += sum(now[id] != mark for id, mark in seen.items() if id in now)
    return now


def burst(
    base: Path,
    kills: int,
    seed: int = 0,
    longest: float = 6.0,
    jobs: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> Told:
    """Kill a sweep so many times, then let it end.

    :param base: a folder to work in.
    :param longest: seconds that a sweep may live before it is killed.
    :param jobs: worker processes of each sweep.
    :param say: is told now and then how far it is.
    """
    draw = random.Random(seed)
    told = Told()
    seen: dict[str, tuple[int, int]] = {}
    grid = base / "grid.json"
    grid.write_text(json.dumps(GRID))  # JSON is YAML
    while told.kills < kills:
        folder = base / f"results-{told.folders}"
        process = _start(grid, folder, jobs, subprocess.DEVNULL)
        try:
            code = process.wait(draw.uniform(0.5, longest))
            if code:
                raise RuntimeError(f"The sweep of {folder} ended by itself with {code}.")
            _watch(folder, seen, told)
            told.folders += 1  # it was quicker than its end: on to the next folder
            seen = {}
            continue
        except subprocess.TimeoutExpired:
            pass
        if draw.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        told.kills += 1
        seen = _watch(folder, seen, told)
        if told.kills % SAID_EVERY == 0:
            found = f"{told.lost} lost, {told.corrupt} corrupt, {told.twice} twice"
            say(f"{told.kills:,} of {kills:,} kills, folder {told.folders}: {found}")
    process = _start(grid, folder, jobs, subprocess.PIPE)
    out, _ = process.communicate()
    seen = _watch(folder, seen, told)
    told.cells, told.done = len(json.loads(out)["cells"]), len(seen)
    return told


def _start(grid: Path, folder: Path, jobs: int, out: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "bench", "sweep", str(grid), "--results", str(folder), "--jobs", str(jobs)]
    return subprocess.Popen(
        [*command, "--json", "--quiet"], stdout=out, stderr=subprocess.DEVNULL, start_new_session=True
    )


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--kills", default=300, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--longest", default=6.0, show_default=True, help="Seconds that a sweep may live.")
@click.option("--jobs", default=2, show_default=True, help="Worker processes of each sweep.")
def main(kills: int, seed: int, longest: float, jobs: int) -> None:
    """Run the study."""
    start = time.monotonic()
    tell(f"{kills:,} kills of sweeps that live up to {longest:g} s: {about(kills * longest / 2)}. Nothing is kept.")
    with tempfile.TemporaryDirectory(prefix="mod97-") as folder:
        told = burst(Path(folder), kills, seed, longest, jobs, timed())
    print(json.dumps({**asdict(told), "seconds": round(time.monotonic() - start)}))
    sys.exit(1 if told.lost or told.corrupt or told.twice or told.done != told.cells else 0)


if __name__ == "__main__":
    main()
