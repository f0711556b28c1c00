"""Compiled programs on disk, named by everything that determines them, so that later processes only load them.

Tracing a program takes seconds, and PyTorch's own cache, which starts from the trace, takes as long again. Kept are
programs of this package's own learners only: their sources are part of the name, whereas the modules that other
packages import are unknown. Any failure here costs time alone: the program is made again.
"""

import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.fx import GraphModule
from torch.fx.graph import CodeGen

from learners import _torch_internals as internals
from learners._fleet.update_rule import FleetLearner

Program = Callable[..., Any]

DAYS: Final = 30
"""Programs that no process has loaded for so many days are removed when another is written."""


def sources_known(learner: FleetLearner, network: nn.Module) -> bool:
    """Whether a learner, its optimizer and all modules are defined here or in PyTorch and scikit-learn alone."""
    parts = list(learner.parts)
    for part in parts:  # it grows by the parts inside of parts
        parts += part.inner().values()
    types = {base for one in (learner, *parts, *network.modules()) for base in type(one).__mro__}
    here = __name__.partition(".")[0]
    return {base.__module__.partition(".")[0] for base in types} <= {here, "torch", "sklearn", "abc", "builtins"}


def name_of(key: Hashable, arguments: Any) -> str:
    """The name of a program on disk: a hash of everything that determines it.

    That is what it computes, the shapes of its arguments, the sources of this package, the version of PyTorch, the
    machine, and the number of threads.

    :param key: of the function, equal for functions that do the same.
    :param arguments: tensors, in dictionaries and tuples.
    """
    leaves, structure = internals.tree_flatten(arguments)
    shapes = [(tuple(x.shape), x.stride(), str(x.dtype), str(x.device)) for x in leaves]
    what = (_stable(key), str(structure), shapes, _sources(), _machine(str(leaves[0].device)))
    arithmetic = torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32
    return hashlib.sha256(repr((*what, *arithmetic)).encode()).hexdigest()[:32]


def _stable(key: Any) -> Any:
    """A key with types replaced by their names, which do not change from process to process."""
    if isinstance(key, tuple):
        return tuple(_stable(part) for part in key)
    return f"{key.__module__}.{key.__qualname__}" if isinstance(key, type) else key


@cache
def _sources() -> str:
    """A digest of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_sources()  # Of what is imported now, not of what the files are edited to before something is compiled.


@cache
def _machine(device: str) -> tuple[str, ...]:
    """What compiled code is for."""
    versions = torch.__version__, str(torch.version.cuda), platform.python_version(), platform.machine()
    if device.startswith("cuda"):
        found = torch.cuda.get_device_properties(device)
        return (*versions, found.name, f"{found.major}.{found.minor}", str(found.multi_processor_count))
    model = platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return (*versions, model, torch.backends.cpu.get_cpu_capability())


def _folder() -> Path:
    return Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]) / "kept"


def _files(name: str) -> tuple[Path, Path]:
    """A program, and what is known of it."""
    return _folder() / f"{name}.bin", _folder() / f"{name}.json"


def find(name: str) -> dict[str, Any] | None:
    """What is known of a program that is kept; None where there is none."""
    try:
        return dict(json.loads(_files(name)[1].read_text()))
    except (OSError, ValueError):
        return None


def load(name: str, arguments: tuple[Any, ...]) -> Program:
    """A program that is kept, as a function of such arguments; whatever is wrong with it is raised."""
    files = _files(name)
    artifact = internals.load_artifact(str(files[0]))
    for file in files:
        os.utime(file)
    return _of_arguments(artifact, internals.structure_of(arguments))


def make(program: GraphModule, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Program]:
    """Compile a trace so that it can be kept: what is to be kept, and the function of such arguments."""
    spec = internals.structure_of(arguments)
    if spec != internals.structures(program)[0]:
        raise ValueError("The trace is one of other arguments.")
    flat = GraphModule(program, program.graph)
    flat.graph.set_codegen(CodeGen())
    flat.recompile()
    artifact = internals.standalone_compile(flat, internals.flatten_as(arguments, spec), options)
    return artifact, _of_arguments(artifact, spec)


def _of_arguments(artifact: Any, spec: Any) -> Program:
    """Arguments by the names in them: the order of a dictionary does not matter."""

    def program(*arguments: Any) -> Any:
        found = artifact(*internals.flatten_as(arguments, spec))
        return tuple(found) if isinstance(found, list | tuple) else (found,)

    return program


def keep(name: str, artifact: Any, known: dict[str, Any]) -> None:
    """Keep a program, whole or not at all; another process may keep the same."""
    with suppress(Exception):  # it is compiled, whatever became of keeping it
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            artifact.save(path=f"{place}/program", format="binary")
            Path(place, "known").write_text(json.dumps(known))
            for made, kept in zip(("program", "known"), _files(name), strict=True):
                os.replace(f"{place}/{made}", kept)
        _forget(folder.iterdir())


def _forget(paths: Iterable[Path]) -> None:
    long_ago = time.time() - DAYS * 24 * 3600
    for path in paths:
        with suppress(OSError):
            if path.stat().st_mtime < long_ago:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
