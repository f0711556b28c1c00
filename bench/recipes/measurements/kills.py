"""Do a sweep, a run and a search that share a folder, and are killed again and again, lose anything?

``python -m bench.recipes.measurements.kills --kills 1000``

The three commands work on one results folder at the same time, each started again when it has ended. Over and over, one
of them, or one of its worker processes, or its whole group as when a terminal closes, gets a signal: mostly SIGKILL,
also those that terminals, users and schedulers send, and those of crashes. Some get a second one before they could obey
the first. After each kill every record must be whole, and every cell that was done must still be done, with the same
file for its record: a file that was written again was computed twice. Of the search, every trial that was over must be
over with the same values. When all three commands have ended well, the next folder begins.
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
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import optuna

from bench.errors import StoreError
from bench.recipes.measurements._study import tell, timed
from bench.results import Store, about
from bench.tuning import default_url, open_storage

GRID = {
    "modulus": 11,
    "seeds": 6,
    "encoder": ["onehot", "phasor", "binary", "thermometer"],
    "learner": ["ridge", "knn", {"mlp": {"hidden_layer_sizes": [[8], [12], [16]], "epochs": 20}}],
}
MLP = ["--encoder", "onehot", "--learner", "mlp", "--modulus", "11"]
COMMANDS = {
    "sweep": ["sweep", "grid.json"],
    "run": ["run", *MLP, "--set", "learner.hidden_layer_sizes=[8]", "--steps", "20", "--seeds", "12"],
    "tune": ["tune", *MLP, "--objective", "accuracy", "--steps", "20", "--trials", "12", "--seeds", "2"],
}
"""Half of the cells of the run are cells of the sweep, too."""

SIGNALS = {
    "SIGKILL": 10,
    **dict.fromkeys(("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGXCPU"), 1),
    **dict.fromkeys(("SIGSEGV", "SIGABRT", "SIGBUS"), 1),
}
"""How often each signal is sent, relative to the others."""
TARGETS = {"main": 4, "worker": 3, "group": 3}
"""How often it is sent to the main process, to one of its workers, and to all of them at once."""
TWICE = 0.2
"""The share of signals that are followed by the same one after a moment."""
MOMENT = 0.3
"""Seconds until then at most."""
INTERRUPTED = 130
MOST_IN_VAIN = 20
"""Commands in a row that may end with an error before it is taken for one of the commands, not of the kills."""
SAID_EVERY = 10
"""Kills from one line of progress to the next."""


@dataclass
class Counts:
    """What the kills did.

    :param lost: cells, or trials, that were done and no longer are.
    :param corrupt: records that are not whole, and journals that cannot be read.
    :param twice: records of done cells that were written again, and trials whose values changed.
    :param cells, done: of the last folder, all cells and those that are done in the end.
    :param sent: signals by command, target and name.
    :param complaints: commands that nobody had sent a signal to and that ended with a traceback, a bug, or a refusal.
    """

    kills: int = 0
    folders: int = 1
    lost: int = 0
    corrupt: int = 0
    twice: int = 0
    cells: int = 0
    done: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


class Watch:
    """Knows what was done in a folder at the last look, and counts what changed since."""

    def __init__(self, folder: Path, counts: Counts) -> None:
        self.folder, self.counts = folder, counts
        self.seen: dict[str, object] = {}

    def look(self) -> None:
        """Read all records and trials."""
        if not self.folder.exists():
            return
        now = {**self._cells(), **self._trials()}
        self.counts.lost += len(self.seen.keys() - now.keys())
        self.counts.twice += sum(now[id] != mark for id, mark in self.seen.items() if id in now)
        self.seen = now

    def _cells(self) -> dict[str, object]:
        """The cells that are done, with the identity of their records' files."""
        found: dict[str, object] = {}
        store = Store(self.folder)
        for id in store.ids():
            try:
                record = store.read(id)
            except StoreError:
                self.counts.corrupt += 1
                continue
            if record is not None and record["status"] == "done":
                stat = store.path(id).stat()
                found[id] = stat.st_ino, stat.st_mtime_ns
        return found

    def _trials(self) -> dict[str, object]:
        """The trials that are complete, with their values."""
        if not (self.folder / "studies.journal").exists():
            return {}
        try:
            storage = open_storage(default_url(self.folder))
            trials = [trial for study in storage.get_all_studies() for trial in storage.get_all_trials(study._study_id)]
        except Exception:
            self.counts.corrupt += 1
            return {}
        complete = (trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE)
        return {f"trial {trial.number}": tuple(trial.values) for trial in complete}


class Commands:
    """The commands at work on a folder.

    :param longest: seconds that each lives at most, once it is started, before it gets a signal.
    """

    def __init__(self, folder: Path, jobs: int, draw: random.Random, longest: float, counts: Counts) -> None:
        self.folder, self.jobs, self.draw, self.longest, self.counts = folder, jobs, draw, longest, counts
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.until: dict[str, float] = {}
        self.over: set[str] = set()
        self.touched: set[str] = set()
        self.in_vain = 0

    def start(self) -> None:
        """Start each command that neither runs nor has ended well."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                del self.running[name]
                self._judge(name, process.returncode)
        for name in COMMANDS.keys() - self.running.keys() - self.over:
            options = ["--results", str(self.folder), "--jobs", str(self.jobs), "--quiet"]
            with self._errors_of(name).open("wb") as errors:
                self.running[name] = subprocess.Popen(
                    [sys.executable, "-m", "bench", *COMMANDS[name], *options],
                    cwd=self.folder.parent,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                )
            self.until[name] = time.monotonic() + self.draw.uniform(0.5, self.longest)

    def _errors_of(self, name: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}-{name}.err")

    def _judge(self, name: str, code: int) -> None:
        """A command that has ended: well, by a signal, or because a cell of its or of another process was killed."""
        said = self._errors_of(name).read_text(errors="replace").strip()
        alone, self.touched = name not in self.touched, self.touched - {name}
        if code == 0:
            self.over.add(name)
            self.in_vain = 0
        elif "is a bug" in said or (alone and (code not in (1, INTERRUPTED) or "Traceback" in said)):
            self.counts.complaints.append(f"{name} ended with {code}: {said[-500:]}")
        self.in_vain += int(alone and code != 0)
        if self.in_vain > MOST_IN_VAIN:
            raise RuntimeError(f"{name} ends by itself again and again, the last time with {code}: {said[-500:]}")

    def send(self) -> str | None:
        """Send a signal to the command whose time is up next, then; returns a description, or None if it has ended."""
        draw, name = self.draw, min(self.running, key=self.until.__getitem__)
        process, target, sent = self.running[name], _drawn(self.draw, TARGETS), _drawn(self.draw, SIGNALS)
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, self.until[name] - time.monotonic()))
            return None
        self.touched.add(name)
        self.until[name] += draw.uniform(0.5, self.longest)  # a worker's signal, or one that is obeyed later
        for last in (False, True) if draw.random() < TWICE else (True,):
            with suppress(ProcessLookupError):
                if target == "group":
                    os.killpg(process.pid, signal.Signals[sent])
                else:
                    pids = _children(process.pid) if target == "worker" else []
                    os.kill(draw.choice(pids) if pids else process.pid, signal.Signals[sent])
            if not last:
                time.sleep(draw.uniform(0, MOMENT))
        return f"{name} {target} {sent}"

    def end(self) -> None:
        """Let all commands run to their ends."""
        while self.over != COMMANDS.keys():
            self.start()
            for process in self.running.values():
                process.wait()

    def kill(self) -> None:
        """Kill what runs."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _drawn(draw: random.Random, weights: dict[str, int]) -> str:
    [name] = draw.choices(list(weights), list(weights.values()))
    return name


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return sorted(map(int, found.stdout.split()))


def burst(
    base: Path,
    kills: int,
    seed: int = 0,
    longest: float = 8.0,
    jobs: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> Counts:
    """Send so many signals, then let the commands run to their ends.

    :param base: a folder to work in.
    :param longest: seconds that a command lives at most before it gets a signal.
    :param jobs: worker processes of each command.
    :param say: called with a line of progress after every ten kills.
    """
    draw, counts = random.Random(seed), Counts()
    (base / "grid.json").write_text(json.dumps(GRID))  # JSON is YAML
    commands = Commands(base / "results-1", jobs, draw, longest, counts)
    watch = Watch(commands.folder, counts)
    try:
        while counts.kills < kills:
            commands.start()
            if not commands.running:
                watch.look()
                counts.folders += 1
                commands = Commands(base / f"results-{counts.folders}", jobs, draw, longest, counts)
                watch = Watch(commands.folder, counts)
                continue
            sent = commands.send()
            if sent is None:
                continue
            counts.kills += 1
            counts.sent[sent] = counts.sent.get(sent, 0) + 1
            watch.look()
            if counts.kills % SAID_EVERY == 0:
                found = f"{counts.lost} lost, {counts.corrupt} corrupt, {counts.twice} twice"
                complaints = f"{len(counts.complaints)} complaints"
                say(f"{counts.kills:,} of {kills:,} kills, folder {counts.folders}: {found}, {complaints}")
        commands.end()
    finally:
        commands.kill()
    watch.look()
    store = Store(commands.folder)
    statuses = [record["status"] for id in store.ids() if (record := store.read(id))]
    counts.cells, counts.done = len(statuses), statuses.count("done")
    return counts


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--kills", default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--longest", default=8.0, show_default=True, help="Seconds that a command lives at most.")
@click.option("--jobs", default=1, show_default=True, help="Worker processes of each command.")
def main(kills: int, seed: int, longest: float, jobs: int) -> None:
    """Kill commands, and print what was lost."""
    start = time.monotonic()
    took = about(kills * longest / 2 / len(COMMANDS))
    tell(
        f"{kills:,} kills of three commands that share a folder and live up to {longest:g} s: {took}. Nothing is kept."
    )
    with tempfile.TemporaryDirectory(prefix="mod97-") as folder:
        counts = burst(Path(folder), kills, seed, longest, jobs, timed())
    print(json.dumps({**asdict(counts), "seconds": round(time.monotonic() - start)}))
    bad = counts.lost or counts.corrupt or counts.twice or counts.complaints or counts.done != counts.cells
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
