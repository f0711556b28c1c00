"""The environment of worker processes: each sees one GPU only."""

import os
from glob import glob
from itertools import takewhile

NO_LEAK_RESTART = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}
"""The environment of a worker process, which is meant to keep memory: a GPU, or PyTorch where the first job was without
it, takes 300 MB, upon which loky would replace the process where psutil is installed."""
ONLY_GPU = "MOD97_ONLY_GPU"
"""The environment variable that holds the name by which other processes know the only GPU of a worker process."""


def count_gpus() -> int:
    """The number of GPUs of this machine."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def local_name(device: str) -> str:
    """The name of a device in this process."""
    return "cuda:0" if os.environ.get(ONLY_GPU) == device else device


def isolated_environment(device: str) -> dict[str, str]:
    """Environment variables of a process in which a numbered GPU is the only one, and therefore the first.

    Compiled programs are valid for one device number. If that is 0 everywhere, all GPUs of a machine share them.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number.isascii() and number.isdigit()):
        return {}
    visible = _visible_gpus()
    if visible is not None and int(number) >= len(visible):
        return {}  # PyTorch reports the error
    return {"CUDA_VISIBLE_DEVICES": number if visible is None else visible[int(number)], ONLY_GPU: device}


def _visible_gpus() -> list[str] | None:
    """The GPUs in CUDA_VISIBLE_DEVICES, up to the first invalid name as in CUDA; None if the variable is not set."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is None:
        return None
    return list(takewhile(lambda name: name.isdigit() or name[:3] in ("GPU", "MIG"), map(str.strip, names.split(","))))


def likely_devices(device: str) -> list[str]:
    """The GPUs on which jobs will probably run."""
    if device not in ("auto", "cuda"):
        return [device] if isolated_environment(device) else []
    visible = _visible_gpus()
    count = len(glob("/dev/nvidia[0-9]*")) if visible is None else len(visible)
    return ["cuda"] if count == 1 else [f"cuda:{i}" for i in range(count)]
