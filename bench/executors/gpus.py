"""One GPU to a worker process."""

import os
from glob import glob
from itertools import takewhile

GROWING = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}
"""The environment of a process on a GPU: it has grown by 300 MB after its first job, and loky would replace it."""


def local_name(device: str) -> str:
    """What this process calls a device."""
    return "cuda:0" if os.environ.get(ONLY) == device else device


ONLY = "MOD97_ONLY_GPU"
"""The variable by which a worker process that sees one GPU alone knows what the others call it."""


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


def likely_devices(device: str) -> list[str]:
    """The devices that jobs will have."""
    if device not in ("auto", "cuda"):
        return [device] if isolated(device) else []
    seen = _visible()
    count = len(glob("/dev/nvidia[0-9]*")) if seen is None else len(seen)
    return ["cuda"] if count == 1 else [f"cuda:{i}" for i in range(count)]
