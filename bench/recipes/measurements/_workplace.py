"""A folder in which commands run without training anything, and what is documented of how they end."""

import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

import click

from bench.errors import RequestError
from bench.executors import Executor, Job, OnRecord, Queue, Result, RunningJob, executor_class
from bench.harness import empty_curve, trained_record
from bench.results import Record, Store, environment


def command_line(name: str) -> Any:
    """Something of the command line, which is above all that is imported here: this starts it, as a user does."""
    return resolve_name(f"bench.cli._commands:{name}")


class MadeUp(Executor):
    """Makes up the record of every cell at once."""

    def run(self, queue: Queue, on_record: OnRecord) -> bool:
        """Take all jobs in turn."""
        for device in self.devices:
            while (job := queue.next(device)) is not None:
                self.collect_results(job, [_made_up(job, number) for number in range(len(job.units))], 0.0, on_record)
                queue.finish(job)
        return True

    def running_jobs(self) -> list[RunningJob]:
        """None: each is over at once."""
        return []


def _made_up(job: Job, number: int) -> Result:
    unit = job.units[number]
    parts = ["train", "validation", "test"] if unit.spec.validation_fraction else ["train", "test"]
    steps = sorted({0, unit.budget.steps // 2, unit.budget.steps})
    curve: dict[str, list[Any]] = {name: [None] * len(steps) for name in empty_curve()}
    for part in parts:
        curve[f"{part}_accuracy"] = [step / max(1, steps[-1]) for step in steps]
        curve[f"{part}_loss"] = [1.0] * len(steps)
    trained = trained_record(
        unit.spec, unit.budget, "done", {**curve, "step": steps}, 0.0, parameters=1, flops=steps[-1]
    )
    about = {**environment.describe("cpu", 1), "device": job.device, "sources": {}}
    record: Record = {**trained, "environment": about, "peak_memory_bytes": None}  # type: ignore[typeddict-item]
    if job.tuning is not None:
        record["tuning"] = dict(job.tuning)
    if job.results:
        Store(job.results).keep_all([(record, {})], {record["id"]} if job.force else set())
    return Result(record)


def _checked_executor(name: str = "local") -> type[Executor]:
    executor_class(name)
    return MadeUp


def _refused(*_: Any, **__: Any) -> None:
    raise RequestError("It is not started here.")


@dataclass
class Ended:
    """How a command ended.

    :param changed: the files that it has changed, made or removed.
    """

    code: int
    out: str
    err: str
    changed: list[str]


class Workplace:
    """A temporary folder with a few records, a pack, a study and a grid, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pristine = folder / "here", folder / "pristine"
        self.pristine.mkdir()
        self.folder.mkdir()
        small = ["--modulus", "5", "--quiet"]
        for arguments in (
            ["run", "--encoder", "onehot", "--learner", "ridge", "--seeds", "2", *small],
            ["run", "--encoder", "cycle", "--learner", "quadratic", "--steps", "4", *small],
            [
                "tune",
                "--encoder",
                "onehot",
                "--learner",
                "mlp",
                "--steps",
                "4",
                "--trials",
                "2",
                "--fresh",
                "1",
                *small,
            ],
            ["pack", "results", "-o", "some.pack"],
        ):
            ended = self.ended(arguments)
            assert ended.code == 0, ended.err
        (self.folder / "grid.yaml").write_text("encoder: onehot\nlearner: [ridge, knn]\nmodulus: 5\n")
        (self.folder / "junk.pack").write_bytes(b"PK\x03\x04 and then nothing")
        self.ids = Store(self.folder / "results").ids()
        shutil.copytree(self.folder, self.pristine, dirs_exist_ok=True)
        self.contents = _contents(self.folder)

    def ended(self, arguments: Sequence[str], files: Mapping[str, bytes] | None = None) -> Ended:
        """Run a command; the folder is as before afterwards.

        :param files: others than the folder has, for this command.
        """
        for name, content in (files or {}).items():
            (self.folder / name).write_bytes(content)
        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
        before, standard = os.getcwd(), (sys.stdout, sys.stderr)
        os.chdir(self.folder)
        sys.stdout, sys.stderr = streams
        try:
            code = command_line("exit_code")([*arguments])
        finally:
            sys.stdout, sys.stderr = standard
            os.chdir(before)
        out, err = (stream.buffer.getvalue().decode() for stream in streams)
        return Ended(code, out, err, self._restored(files or {}) if hasattr(self, "contents") else [])

    def _restored(self, files: Mapping[str, bytes]) -> list[str]:
        now = _contents(self.folder)
        expected = {**self.contents, **files}
        changed = sorted(name for name in now.keys() | expected.keys() if now.get(name) != expected.get(name))
        if changed or files:
            shutil.rmtree(self.folder)
            shutil.copytree(self.pristine, self.folder)
        return changed


def _contents(folder: Path) -> dict[str, bytes | None]:
    files = folder.rglob("*")
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in files}


@contextmanager
def workplace() -> Iterator[Workplace]:
    """A workplace in which nothing is trained, timed, served or opened in a browser."""
    with ExitStack() as stack:
        for name, replaced in (
            ("bench.scheduling.planner.executor_class", _checked_executor),
            ("bench.tuning.request.executor_class", _checked_executor),
            ("bench.scheduling.rerun.run_job", lambda job, channel: [_made_up(job, i) for i in range(len(job.units))]),
            ("bench.recipes.measurements.speed.measure", _refused),
            ("bench.tuning.dashboard.server.serve", _refused),
            ("bench.tuning.serve", _refused),
            ("bench.cli._new._checkout", lambda: None),
            ("click.launch", lambda *_: 0),
        ):
            stack.enter_context(patch(name, replaced))
        yield Workplace(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mod97-fuzz-"))))


def faults(arguments: Sequence[str], ended: Ended) -> Iterator[str]:
    """What is not as documented, in words."""
    lines = ended.err.splitlines()
    if "Traceback" in ended.err + ended.out and "--debug" not in arguments:
        yield "a traceback"
    if "bug in mod97" in ended.err:
        yield "a bug"
    if ended.code not in (0, 1, 2):
        yield f"exit code {ended.code}"
    if ended.code == 2:
        if ended.changed:
            yield f"refused, and yet there changed {ended.changed}"
        if ended.out:
            yield "refused, and yet there is output"
        if "--debug" not in arguments and not _is_one_error(lines):
            yield "refused with other than one line"
    if ended.code == 0 and _asks_for_json(arguments):
        try:
            json.loads(ended.out)
        except ValueError:
            yield "other than one JSON document"


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether --json is an option here, not the value of another one, and help is not asked for."""
    name, *others = arguments
    if "--json" not in others or not {"--help", "-h"}.isdisjoint(others):
        return False
    command: click.Command = command_line("cli").commands[name]
    return bool(command.make_context(name, others, resilient_parsing=True).params.get("as_json"))


def _is_one_error(lines: Sequence[str]) -> bool:
    return (
        len(lines) == 1 and lines[0].startswith("Error: ")
        if lines[:1] != ["Usage: python -m bench [OPTIONS] COMMAND [ARGS]..."]
        else True
    )
