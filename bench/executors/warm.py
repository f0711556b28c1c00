"""Worker processes for GPUs, started while the command that will use them is still importing what it needs itself.

Both take seconds, above all on a machine whose files are not in memory yet. Only loky is imported here. The number of
GPUs is guessed from what the system shows; PyTorch decides later, and processes started in vain are ended.
"""

import os
import threading
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from loky.process_executor import ProcessPoolExecutor

from bench.executors.gpus import GROWING, isolated, likely_devices
from bench.executors.lifetime import begin_worker

_started: dict[str, Any] = {}


def process(device: str) -> Any:
    """A pool of one process for jobs of a device: one that was started, or a new one."""
    if device in _started:
        return _started.pop(device)
    env = {} if device == "cpu" else GROWING | isolated(device)
    return ProcessPoolExecutor(max_workers=1, initializer=begin_worker, initargs=(os.getpid(),), env=env)


def start(device: str) -> None:
    """Start a process for each GPU that is likely to be there, where that is where work goes."""
    if not _started:
        for name in likely_devices(device):
            pool = process(name)
            pool.submit(_import)
            _started[name] = pool


def end(but: Collection[str] = ()) -> None:
    """End what was not asked for, at once.

    :param but: devices whose processes are still wanted.
    """
    for device in [device for device in _started if device not in but]:
        _started.pop(device).shutdown(wait=False, kill_workers=True)


def _import() -> None:
    """What learners on a GPU need, and what compiles them; meanwhile the GPU is made ready."""
    import torch

    def wake() -> None:
        with suppress(Exception):  # jobs say why
            torch.zeros(1, device="cuda")

    waking = threading.Thread(target=wake)
    waking.start()
    from learners import Transformer  # noqa: F401
    from learners.fleet import keep_programs, load_compiler

    keep_programs()
    load_compiler()
    waking.join()
