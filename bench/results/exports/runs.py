"""Records as runs of other tools: a name, parameters, a curve."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.errors import RequestError, StoreError, os_errors_as
from bench.results.columns import RUN_COLUMNS, settings_of
from bench.results.record import Record

PARAMETERS = (
    *("task", "modulus", "protocol", "train_fraction", "validation_fraction", "label_noise"),
    *("encoder", "combine", "sdr", "learner", "optimizer", "precision", "seed", "split_seed", "budget_steps"),
)
"""The columns of cells that are parameters of a run, beside those of its plugins."""

LONGEST = 160
"""Bytes of a label in the name of a run: a file's name can have 255."""

UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029/\\<>:"|?*]')
"""What the name of a folder cannot have on every system, or would not be shown."""


def name_of(record: Record) -> str:
    r"""The label with the seed, and the beginning of the id, since records of several tasks may share both.

    >>> name_of({"id": "64181dd8" * 2, "label": "onehot →\n../ridge", "spec": {"seed": 3}})
    'onehot → .._ridge seed 3 64181dd8'
    """
    label = UNSAFE.sub("_", " ".join(record["label"].split()))
    short = label.encode()[:LONGEST].decode(errors="ignore").strip(" .") or "run"
    return f"{short} seed {record['spec']['seed']} {record['id'][:8]}"


def parameters_of(record: Record) -> dict[str, Any]:
    """The parameters that a record has, by the names of the columns of cells."""
    found = {name: RUN_COLUMNS[name].value(record) for name in PARAMETERS} | settings_of(record["spec"])
    return {name: value for name, value in found.items() if value is not None}


def evaluations_of(record: Record) -> Iterator[tuple[int, dict[str, float]]]:
    """The steps of a curve, each with the numbers that it has."""
    curve: Mapping[str, Any] = record["curve"]
    series = {name: values for name, values in curve.items() if name != "step"}
    for place, step in enumerate(curve["step"]):
        yield step, {name: values[place] for name, values in series.items() if values[place] is not None}


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A block that fills a temporary folder, which gets its name at the end; after an error nothing is left of it.

    :raises StoreError: where it cannot be written.
    """
    with ExitStack() as undo, os_errors_as(StoreError, f"{str(path)!r} cannot be written"):
        made = Path(tempfile.mkdtemp(prefix=".export-", suffix=".tmp", dir=path.absolute().parent))
        undo.callback(shutil.rmtree, made, ignore_errors=True)
        yield made
        made.chmod(0o755)
        with suppress(FileNotFoundError):
            path.rmdir()
        made.rename(path)


def check_new(field: str, folder: str | Path) -> None:
    """Raise RequestError where no new folder of runs can be made: it must not exist, or be empty.

    Runs that are there already would otherwise be mixed with others, of which some may be the same.
    """
    path = Path(folder)
    with os_errors_as(RequestError, f"`{field}` cannot be written to {str(folder)!r}"):
        if not str(folder) or "\0" in str(folder) or not path.absolute().parent.is_dir():
            raise RequestError(f"`{field}` must be in a folder that exists, got {str(folder)!r}.")
        if os.path.lexists(path) and (not path.is_dir() or any(path.iterdir())):
            raise RequestError(f"`{field}` must be a new folder or an empty one, got {str(folder)!r}.")
        if not os.access(path.absolute().parent, os.W_OK):
            raise RequestError(f"`{field}` cannot be written to {str(folder)!r}.")
