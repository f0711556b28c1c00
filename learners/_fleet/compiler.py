"""When a program is worth compiling, and compiling it."""

import os
import time
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from torch.fx import GraphModule

from learners._fleet import kept
from learners._fleet.kept import Program
from learners._fleet.memory import out_of_memory
from learners._fleet.rates import worth_shrinking, worthwhile
from learners._fleet.trace import REMEMBERED, Work, aligned

__all__ = ["Compiler", "keep_programs"]

OPTIONS: Final[dict[str, dict[str, Any]]] = {"cpu": {}, "cuda": {"combo_kernels": True}}
"""Of PyTorch's compiler. One replica waits for kernels to be launched: many small ones are combined.

NOTE: kernels are not launched before those that they follow have ended ("triton.enable_pdl", 9 % for one replica on an
H100): some then wait for nothing, and PyTorch does not say that those behind them wait for what came before."""


TOOLS = ("CxxCompiler", "TritonMissing", "C++ compiler", "C compiler", "working triton")
"""By which an error says that the tools are missing, and not that a program is too much for them."""


class Compiler:
    """Compiles programs and says so.

    :param device: the kind of device.
    :param announce: is told when compiling begins and, by "", when it ends.
    :param repeats: trainings that want the same programs one after another.
    :param precision: of the products.
    :param keeps: programs are kept on disk, to be neither traced nor compiled by a later process.
    :ivar seconds: spent on making programs, compiled or not.
    :ivar takers: groups of a training that run what is made next, each as often.
    """

    broken: ClassVar[str | None] = None
    """What is missing on this machine: compiling is not tried again in this process."""
    loaded: ClassVar[dict[str, tuple[Program, Work]]] = {}
    """Programs that are kept, and were loaded or made in this process, by their names."""
    known: ClassVar[dict[tuple[GraphModule, int], Callable[..., Any] | str]] = {}
    """What came of the last traces that were compiled in this process, by the threads of the arithmetic: programs, or
    why there are none."""

    def __init__(
        self,
        device: str,
        announce: Callable[[str], None],
        repeats: int = 1,
        precision: str = "float32",
        keeps: bool = False,
    ) -> None:
        self.device, self.announce, self.repeats, self.precision = device, announce, repeats, precision
        self.keeps = keeps
        self.seconds = 0.0
        self.takers = 1
        self.notice: str | None = None
        keep_programs()

    def wanted(self, work: Work, times: int) -> bool:
        """Whether a program that runs so many times in each training is worth compiling."""
        return worthwhile(work, times, self.device, torch.get_num_threads(), self.repeats * self.takers)

    def gives_way(self, work: Work, share: float, times: int, compiled: bool) -> bool:
        """Whether a program with so many runs to come gives way to one for a share of its replicas."""
        threads = torch.get_num_threads()
        return worth_shrinking(work, share, times, self.device, threads, self.repeats, self.precision, compiled)

    @contextmanager
    def making(self) -> Iterator[None]:
        """Count the seconds of a block, which must not hold another."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start

    def name(self, key: Hashable, arguments: Any) -> str | None:
        """What a program of such arguments is kept under; None where none is kept."""
        return kept.name_of(key, arguments) if self.keeps else None

    def ready(
        self, name: str | None, times: int, arguments: Callable[[], tuple[Any, ...]]
    ) -> tuple[Program, Work] | None:
        """A compiled program that this or an earlier process has kept, and its work, if it is worth having.

        :param times: how often it runs in each training.
        :param arguments: gives some to call it with, which it may spoil.
        """
        if name is None:
            return None
        if name in Compiler.loaded:
            Compiler.loaded[name] = found = Compiler.loaded.pop(name)
            return found if self.wanted(found[1], times) else None
        known = kept.find(name)
        if known is None:
            return None
        try:
            work = Work(**known)
            if not self.wanted(work, times):
                return None
            given = arguments()
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                program = kept.load(name, given)
                program(*given)
        except Exception as error:  # half a file, or one that another PyTorch has made
            if out_of_memory(error):
                raise
            return None
        self._remember(name, program, work)
        return program, work

    def _remember(self, name: str, program: Program, work: Work) -> None:
        while len(Compiler.loaded) >= REMEMBERED:
            del Compiler.loaded[next(iter(Compiler.loaded))]
        Compiler.loaded[name] = program, work

    def __call__(
        self, function: GraphModule, *arguments: Any, name: str | None = None, work: Work | None = None
    ) -> Callable[..., Any] | None:
        """The trace compiled, having been called once with the arguments; None where that fails.

        A trace compiled before in this process is not called: it has been.

        :param name: what to keep it under, with its work.
        """
        key = function, torch.get_num_threads()
        if key in Compiler.known:
            Compiler.known[key] = found = Compiler.known.pop(key)
            if isinstance(found, str):
                self.notice = found
                return None
            return found
        if Compiler.broken:
            self.notice = Compiler.broken
            return None
        compiled: Program | str
        self.announce("compiling")
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                program = aligned(function) if self.device == "cuda" else function
                made = self._keep(program, arguments, name, work) if name and work else None
                if made is None:
                    made = torch.compile(program, fullgraph=True, dynamic=False, options=OPTIONS[self.device])
                    made(*arguments)
                compiled = made
        except Exception as error:  # whatever is missing: a C++ compiler, Triton, headers
            if out_of_memory(error):
                raise
            self.notice = f"Nothing is compiled here, which costs time alone: {_reason(error)}"
            if any(word in self.notice for word in TOOLS):
                Compiler.broken = self.notice
            compiled = self.notice
        finally:
            self.announce("")
        while len(Compiler.known) >= REMEMBERED:
            del Compiler.known[next(iter(Compiler.known))]
        Compiler.known[key] = compiled
        return None if isinstance(compiled, str) else compiled

    def _keep(self, program: GraphModule, arguments: tuple[Any, ...], name: str, work: Work) -> Program | None:
        """Compile and keep; None where this PyTorch cannot: then it is compiled for this process alone."""
        try:
            artifact, compiled = kept.make(program, arguments, OPTIONS[self.device])
            compiled(*arguments)
        except Exception as error:
            if out_of_memory(error) or any(word in str(error) for word in TOOLS):
                raise
            return None
        kept.keep(name, artifact, asdict(work))
        self._remember(name, compiled, work)
        return compiled


def keep_programs() -> None:
    """Keep compiled programs across runs, where the user keeps caches.

    Before anything is traced: that imports parts of PyTorch which settle for a temporary folder.
    """
    if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        with suppress(RuntimeError):  # who has no home has PyTorch's folder
            base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(base) / "mod97" / "programs")


def _reason(error: Exception) -> str:
    inner = getattr(error, "inner_exception", None) or error.__cause__ or error
    lines = [line.strip() for line in str(inner).splitlines() if line.strip()]
    return f"{type(inner).__name__}: {lines[0][:120]}" if lines else type(inner).__name__
