"""Worker processes for GPUs, started while the command that will use them is still importing what it needs itself.

Either takes seconds, above all on a machine whose files are not in memory yet. Only joblib's pool is imported here. How
many GPUs there are is a guess by what the system shows: PyTorch decides, and what was started in vain is ended.
"""

import os
import signal
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from glob import glob
from itertools import takewhile
from typing import Any

from joblib.externals.loky.process_executor import ProcessPoolExecutor

__all__ = ["ONLY", "begin_worker", "end", "isolated", "process", "start"]

ONLY = "MOD97_ONLY_GPU"
"""The variable by which a worker process that sees one GPU alone knows what the others call it."""

_started: dict[str, Any] = {}


def isolated(device: str) -> dict[str, str]:
    """What the environment of a process says in which a numbered GPU is the only one, and so the first.

    Compiled programs hold for a device number: so all GPUs of a machine share them.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number.isascii() and number.isdigit()):
        return {}
    seen = _visible()
    if seen is not None and int(number) >= len(seen):
        return {}  # PyTorch says what is wrong with it
    return {"CUDA_VISIBLE_DEVICES": number if seen is None else seen[int(number)], ONLY: device}


def _visible() -> list[str] | None:
    """The GPUs that this process may use, where somebody has said which: CUDA reads up to the first that is none."""
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is None:
        return None
    return list(takewhile(lambda name: name.isdigit() or name[:3] in ("GPU", "MIG"), map(str.strip, said.split(","))))


def _likely(device: str) -> list[str]:
    """The devices that jobs will have."""
    if device not in ("auto", "cuda"):
        return [device] if isolated(device) else []
    seen = _visible()
    count = len(glob("/dev/nvidia[0-9]*")) if seen is None else len(seen)
    return ["cuda"] if count == 1 else [f"cuda:{i}" for i in range(count)]


def process(device: str) -> Any:
    """A pool of one process for jobs of a device: one that was started, or a new one."""
    if device in _started:
        return _started.pop(device)
    arguments = (os.getpid(), device != "cpu")
    return ProcessPoolExecutor(
        max_workers=1, initializer=begin_worker, initargs=arguments, env=isolated(device) or None
    )


def start(device: str) -> None:
    """Start a process for each GPU that is likely to be there, where that is where work goes."""
    if not _started:
        for name in _likely(device):
            pool = process(name)
            pool.submit(_import)
            _started[name] = pool


def end(but: Collection[str] = ()) -> None:
    """End what was not asked for, at once: a pool that is asked to end waits for imports.

    :param but: devices whose processes are still wanted.
    """
    for device in [device for device in _started if device not in but]:
        pool = _started.pop(device)
        for worker in list(pool._processes.values()):
            with suppress(OSError):
                os.kill(worker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        pool.shutdown(wait=False, kill_workers=True)


def begin_worker(owner: int, grows: bool) -> None:
    """Make a fresh process a worker.

    Ctrl-C reaches all processes of a terminal: the owner decides what it means. Its end is this process's too.

    :param owner: the process that it works for.
    :param grows: whether a process that takes much more memory than at first is to go on.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from joblib.externals.loky import process_executor

    from bench.executors.worker import leave_with

    if grows:  # otherwise a process that has grown by 300 MB, as every one on a GPU has, is replaced after each job
        process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize
    leave_with(owner)


def _import() -> None:
    """What learners on a GPU need, and what compiles them; meanwhile the GPU is made ready."""
    import torch

    def wake() -> None:
        with suppress(Exception):  # jobs say why
            torch.zeros(1, device="cuda")

    waking = threading.Thread(target=wake)
    waking.start()
    import learners._nets.decoder  # noqa: F401
    from learners._fleet.compiler import keep_programs

    keep_programs()
    import torch._inductor.compile_fx

    waking.join()
