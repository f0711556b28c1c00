"""The environment of a result: versions, device, threads, the state of the source, and memory."""

import hashlib
import os
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.results.record import Environment

PACKAGES = ("mod97", "numpy", "scipy", "scikit-learn", "torch", "joblib")


@cache
def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that can change a result; None where one is missing."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


@cache
def source_state() -> tuple[str | None, bool | None]:
    """The commit of this source and whether files differ from it; None where it is in no repository."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root:
            return None, None
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return None, None


@cache
def processor() -> str:
    """The processor's name."""
    return _told_by_system("cpuinfo", "model name") or platform.processor() or platform.machine()


def _told_by_system(file: str, field: str) -> str | None:
    """The first value of a field in a file of Linux's /proc; None where there is none."""
    with suppress(OSError):
        lines = Path("/proc", file).read_text().splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), None)
    return None


@cache
def source_digest(plugin: type) -> str:
    """A hash of a plugin's file: where it changes but the plugin's version does not, results may be stale."""
    file = sys.modules[plugin.__module__].__file__
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12] if file else ""


def _gpu_name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(torch.device(device))


def describe(device: str, threads: int) -> Environment:
    """The ``environment`` of a record."""
    commit, dirty = source_state()
    return {
        "versions": dict(versions()),
        "device": device,
        "processor": processor() if device == "cpu" else _gpu_name(device),
        "threads": threads,
        "git_commit": commit,
        "dirty": dirty,
    }


def reset_peak_memory(device: str) -> None:
    """Reset the peak of memory: the GPU's where that is the device, else this process's."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.init()  # before this, PyTorch refuses numbered devices
        torch.cuda.reset_peak_memory_stats(torch.device(device))
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes(device: str) -> int | None:
    """The peak of memory: of tensors on the GPU, or of this process; None where the system does not tell."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(torch.device(device)))
    if most := _told_by_system("self/status", "VmHWM"):
        return int(most.split()[0]) * 1024
    with suppress(ImportError):
        import resource

        unit = 1 if os.uname().sysname == "Darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return None
