"""Devices: which there are, which kind a request means, and which parts of a fleet train where."""

from bench.errors import RequestError
from bench.specs import Spec, registry

THREADS = 1
"""Threads of a cell that trains alone. Sums of several threads round differently: with one, a spec has one result on a
machine, whether its seeds run alone or side by side, and every core trains a seed of its own."""


WORTH_A_PROCESS = 4_000
"""Updates, of all replicas together, that repay the seconds which a process of its own takes to start."""


def places(device: str, replicas: int, updates: int, cores: int) -> list[tuple[str, int]]:
    """Where the parts of a fleet train, one process each: device and threads of each part.

    A process for each GPU, or for each core: two cores train two halves faster than both of them one whole. The choice
    depends on nothing that a clock says, since a fleet of another size rounds differently.

    :param updates: of all replicas together.
    """
    parts = min(replicas, max(1, updates // WORTH_A_PROCESS))
    if device == "cuda":
        return [(f"cuda:{i}" if gpus() > 1 else "cuda", 1) for i in range(min(parts, gpus()))]
    if device == "cpu":
        parts = min(parts, cores)
        return [("cpu", max(1, cores // parts))] * parts
    return [(device, 1)]


def check_arithmetic(spec: Spec, device: str) -> None:
    """Raise RequestError where a device has no such arithmetic."""
    if spec.precision == "tf32" and device == "cpu":
        raise RequestError("`precision` tf32 is arithmetic of GPUs, and this trains on the CPU.")


def kind_of_device(device: str) -> str:
    """Its kind, or "auto".

    :raises RequestError: where it is none.
    """
    kind, colon, number = device.partition(":")
    numbered = number.isascii() and number.isdigit()
    if kind not in ("auto", "cpu", "cuda") or (colon and (kind != "cuda" or not numbered)):
        raise RequestError(f"`device` must be auto, cpu, cuda or cuda:NUMBER, got {device or repr(device)}.")
    return kind


def prepared_device(device: str, spec: Spec) -> str:
    """The device to train on.

    :raises RequestError: where it is unknown, or the learner cannot use it.
    """
    kind = kind_of_device(device)
    devices = registry.learner(spec.learner["name"]).devices
    if kind not in ("auto", *devices):
        raise RequestError(f"`device` must be {' or '.join(devices)} for {spec.learner['name']}, got {device}.")
    if kind == "cpu" or "cuda" not in devices:
        return "cpu"
    found = gpus()
    if kind == "auto":
        return "cuda" if found else "cpu"
    if int(device.partition(":")[2] or 0) >= found:
        raise RequestError(f"`device` {device}: there {'is no GPU' if not found else f'are {found} GPUs'} here.")
    return device


def gpus() -> int:
    """How many GPUs there are."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def device_kind(device: str) -> str:
    """The kind, "cpu" or "cuda", without the number."""
    return device.partition(":")[0]
