"""Devices: those of this machine, the one that a request names, and the parts of a fleet that each trains."""

from collections.abc import Callable

from bench.errors import RequestError
from bench.executors import Executor, count_gpus
from bench.specs import Spec, registry

THREADS = 1
"""Threads of a cell that trains alone. Sums over several threads round differently. With one thread the result of a
spec is the same on a machine whether its seeds run alone or side by side, and every core trains a seed of its own."""
WORTH_A_PROCESS = 4_000
"""Updates, of all replicas together, for each process: fewer take less time than the start of another process."""


def fleet_parts(
    device: str, replicas: int, updates: int, cores: int, gpus: Callable[[], int] = count_gpus
) -> list[tuple[str, int]]:
    """Device and number of threads of each part of a fleet. Each part trains in a process of its own.

    There is one part for each GPU, or for each core, since two cores train two halves faster than one whole. The choice
    does not depend on measured times, since a fleet of another size rounds differently.

    :param updates: steps of all replicas together.
    :param gpus: the number of GPUs where it trains.
    """
    parts = min(replicas, max(1, updates // WORTH_A_PROCESS))
    if device == "cuda":
        return [(name, 1) for name in gpu_names(gpus())[:parts]]
    if device == "cpu":
        parts = min(parts, cores)
        return [("cpu", max(1, cores // parts))] * parts
    return [(device, 1)]


def gpu_names(number: int) -> list[str]:
    """The devices of so many GPUs; of none, which may come, that of one."""
    return [f"cuda:{i}" for i in range(number)] if number > 1 else ["cuda"]


def check_precision(spec: Spec, device: str) -> None:
    """Raise RequestError if the device does not support the precision of a spec."""
    if spec.precision == "tf32" and device == "cpu":
        raise RequestError("`precision` tf32 is arithmetic of GPUs, and this trains on the CPU.")


def parse_device(device: str) -> tuple[str, int]:
    """Kind ("auto", "cpu" or "cuda") and number of a device.

    :raises RequestError: if it is not the name of a device.
    """
    kind, colon, number = device.partition(":")
    numbered = number.isascii() and number.isdigit()
    if kind not in ("auto", "cpu", "cuda") or (colon and (kind != "cuda" or not numbered)):
        raise RequestError(f"`device` must be auto, cpu, cuda or cuda:NUMBER, got {device or repr(device)}.")
    return kind, int(number or 0)


def resolve_device(device: str, spec: Spec, executor: type[Executor] | None = None) -> str:
    """The device on which a spec trains.

    :param executor: where it trains; None is this machine.
    :raises RequestError: if it does not exist, or the learner does not support it.
    """
    kind, number = parse_device(device)
    devices = registry.learner(spec.learner["name"]).devices
    if kind not in ("auto", *devices):
        raise RequestError(f"`device` must be {' or '.join(devices)} for {spec.learner['name']}, got {device}.")
    if kind == "cpu" or "cuda" not in devices:
        return "cpu"
    if kind == "cuda" and executor is not None and executor.workers_vary:  # one with a GPU may come
        if device != "cuda":
            raise RequestError(f"`device` must be auto, cpu or cuda where each worker has one GPU, got {device}.")
        return device
    found = count_gpus() if executor is None else executor.gpus()
    if kind == "auto":
        return "cuda" if found else "cpu"
    if number >= found:
        raise RequestError(f"`device` {device}: there {'is no GPU' if not found else f'are {found} GPUs'} here.")
    return device


def device_kind(device: str) -> str:
    """The kind of a device, "cpu" or "cuda", without its number."""
    return device.partition(":")[0]
