"""Does a sweep that is killed again and again lose anything?

``python -m bench.recipes.measurements.kills --kills 300``

A sweep of many small cells is started and ended by SIGKILL after a random time, in half of the cases its main process
alone, in the other half all of its processes, as when the power fails. The same sweep is started again on the same
results folder until all cells are done, then on the next folder. After each kill every record must be whole, and every
cell that was done must still be done, with the same file for its record: a file that was written again was computed
twice.
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
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from bench.errors import StoreError
from bench.recipes.measurements._study import tell, timed
from bench.results import Store, about

GRID = {
    "modulus": 11,
    "seeds": 6,
    "encoder": ["onehot", "phasor", "binary", "thermometer"],
    "learner": ["ridge", "knn", {"mlp": {"hidden_layer_sizes": [[8], [12], [16]], "epochs": 20}}],
}


SAID_EVERY = 10
"""Kills from one line of progress to the next."""


@dataclass
class Counts:
    """What the kills did.

    :param lost: cells that were done and no longer are.
    :param corrupt: records that are not whole.
    :param twice: records of done cells that were written again.
    :param cells, done: of the last folder, all cells and those that are done in the end.
    """

    kills: int = 0
    folders: int = 1
    lost: int = 0
    corrupt: int = 0
    twice: int = 0
    cells: int = 0
    done: int = 0


def _watch(folder: Path, seen: dict[str, tuple[int, int]], counts: Counts) -> dict[str, tuple[int, int]]:
    """The cells that are done, with the identity of their records' files; counts the changes since the last call."""
    now: dict[str, tuple[int, int]] = {}
    if not folder.exists():
        return now
    store = Store(folder)
    for id in store.ids():
        try:
            record = store.read(id)
        except StoreError:
            counts.corrupt += 1
            continue
        if record is not None and record["status"] == "done":
            stat = store.path(id).stat()
            now[id] = stat.st_ino, stat.st_mtime_ns
    counts.lost += len(seen.keys() - now.keys())
    counts.twice += sum(now[id] != mark for id, mark in seen.items() if id in now)
    return now


def burst(
    base: Path,
    kills: int,
    seed: int = 0,
    longest: float = 6.0,
    jobs: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> Counts:
    """Kill a sweep so many times, then let it run to its end.

    :param base: a folder to work in.
    :param longest: seconds before a sweep is killed at the latest.
    :param jobs: worker processes of each sweep.
    :param say: called with a line of progress after every ten kills.
    """
    draw = random.Random(seed)
    counts = Counts()
    seen: dict[str, tuple[int, int]] = {}
    grid = base / "grid.json"
    grid.write_text(json.dumps(GRID))  # JSON is YAML
    while counts.kills < kills:
        folder = base / f"results-{counts.folders}"
        process = _start(grid, folder, jobs, subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            if code := process.wait(draw.uniform(0.5, longest)):
                raise RuntimeError(f"The sweep of {folder} ended by itself with {code}.")
            _watch(folder, seen, counts)
            counts.folders += 1  # the sweep was done before it was killed
            seen = {}
            continue
        if draw.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        counts.kills += 1
        seen = _watch(folder, seen, counts)
        if counts.kills % SAID_EVERY == 0:
            found = f"{counts.lost} lost, {counts.corrupt} corrupt, {counts.twice} twice"
            say(f"{counts.kills:,} of {kills:,} kills, folder {counts.folders}: {found}")
    process = _start(grid, folder, jobs, subprocess.PIPE)
    out, _ = process.communicate()
    seen = _watch(folder, seen, counts)
    counts.cells, counts.done = len(json.loads(out)["cells"]), len(seen)
    return counts


def _start(grid: Path, folder: Path, jobs: int, out: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "bench", "sweep", str(grid), "--results", str(folder), "--jobs", str(jobs)]
    return subprocess.Popen(
        [*command, "--json", "--quiet"], stdout=out, stderr=subprocess.DEVNULL, start_new_session=True
    )


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--kills", default=300, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--longest", default=6.0, show_default=True, help="Seconds before a sweep is killed at the latest.")
@click.option("--jobs", default=2, show_default=True, help="Worker processes of each sweep.")
def main(kills: int, seed: int, longest: float, jobs: int) -> None:
    """Kill sweeps, and print what was lost."""
    start = time.monotonic()
    tell(f"{kills:,} kills of sweeps that live up to {longest:g} s: {about(kills * longest / 2)}. Nothing is kept.")
    with tempfile.TemporaryDirectory(prefix="mod97-") as folder:
        counts = burst(Path(folder), kills, seed, longest, jobs, timed())
    print(json.dumps({**asdict(counts), "seconds": round(time.monotonic() - start)}))
    sys.exit(1 if counts.lost or counts.corrupt or counts.twice or counts.done != counts.cells else 0)


if __name__ == "__main__":
    main()
