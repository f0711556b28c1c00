"""Worker processes for GPUs, started while the main process still imports its modules.

Starting a process and importing modules both take seconds, above all when no file is in the page cache yet. This module
imports loky only. It estimates the number of GPUs from device files; PyTorch counts them later, and processes that are
not needed are ended.
"""

import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from loky.process_executor import ProcessPoolExecutor

from bench.executors.gpus import NO_LEAK_RESTART, isolated_environment, likely_devices
from bench.executors.lifetime import begin_worker, ignored_by_children
from bench.executors.processes import why_none

_changing_variables = threading.Lock()
_started: dict[str, Any] = {}


def process(device: str) -> Any:
    """A pool of one process for jobs of a device: the one that `start` has started, or a new one."""
    if device in _started:
        return _started.pop(device)
    env = NO_LEAK_RESTART | isolated_environment(device)
    with ignored_by_children(), _outside_the_working_folder():  # the worker, and processes that clean up after others
        pool = ProcessPoolExecutor(max_workers=1, initializer=begin_worker, initargs=(os.getpid(),), env=env)
        pool.submit(os.getpid)  # starts them
    return pool


@contextmanager
def _outside_the_working_folder() -> Iterator[None]:
    """A block in which Python is started without modules of the working folder, which may have names of others.

    A worker then takes over the path of the main process.
    """
    with _changing_variables:
        before = os.environ.get("PYTHONSAFEPATH")
        os.environ["PYTHONSAFEPATH"] = "1"
        try:
            yield
        finally:
            del os.environ["PYTHONSAFEPATH"]
            if before is not None:
                os.environ["PYTHONSAFEPATH"] = before


def start(device: str) -> None:
    """Start a process for each GPU on which jobs for this device will probably run."""
    if not _started and not why_none():
        for name in likely_devices(device):
            pool = process(name)
            pool.submit(_import)
            _started[name] = pool


def stop_unused(keep: Collection[str] = ()) -> None:
    """Kill the started processes that are not needed.

    :param keep: devices whose processes stay.
    """
    for device in _started.keys() - set(keep):
        _started.pop(device).shutdown(wait=False, kill_workers=True)


def _import() -> None:
    """Import learners and the compiler while a thread initializes the GPU."""
    import torch

    def initialize() -> None:
        with suppress(Exception):  # a job reports the error
            torch.zeros(1, device="cuda")

    initializing = threading.Thread(target=initialize)
    initializing.start()
    from learners import Transformer  # noqa: F401
    from learners.fleet import keep_programs, load_compiler

    keep_programs()
    load_compiler()
    initializing.join()
