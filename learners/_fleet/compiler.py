"""Compile programs, where estimates of their time say that it pays, and keep them for later fleets and processes."""

import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

import torch
from torch.fx import GraphModule

from learners._fleet import program_cache
from learners._fleet.cache_folder import keep_programs
from learners._fleet.out_of_memory import out_of_memory
from learners._fleet.trace import Work, aligned, recall, remember
from learners._kernels.noise import fuse_mix

OPTIONS: Final[dict[str, dict[str, Any]]] = {"cpu": {}, "cuda": {"combo_kernels": True}}
"""Options of PyTorch's compiler. For one replica the time goes to launching kernels, so that small ones are combined.

NOTE: "triton.enable_pdl" is off, which lets a kernel start before the previous one has ended (9 % for one replica on an
H100): PyTorch does not guarantee that a kernel then waits for all results that it reads."""


TOOLS = ("CxxCompiler", "TritonMissing", "C++ compile", "C compiler", "working triton")
"""Words of errors that say that tools for compiling are missing, rather than that a program cannot be compiled."""


ADVICE = ("Set TORCH", "For even more")
"""How lines of PyTorch's errors begin that only tell how to learn more."""


@dataclass(frozen=True)
class Rates:
    """Measured rates of a device.

    :param bandwidth: bytes a second of elementwise work, of one thread or one GPU.
    :param launch: seconds that an operator takes regardless of its size.
    :param products: FLOPs a second of matrix products in a fleet, of one thread or one GPU, by precision.
    :param fused: the factor by which compiling reduces bytes and operators.
    :param fixed: seconds that compiling any program takes.
    :param each: seconds that compiling takes for each operator.
    :param tracing: seconds that making an uncompiled program takes for each operator.
    """

    bandwidth: float
    launch: float
    products: Mapping[str, float]
    fused: float
    fixed: float
    each: float
    tracing: float

    def elementwise(self, work: Work, own: int) -> float:
        """Seconds of a program, uncompiled, without the arithmetic of its products."""
        return work.bytes / (self.bandwidth * own) + work.operators * self.launch

    def seconds(self, work: Work, compiled: bool, own: int, precision: str) -> float:
        """Seconds of one run of a program."""
        products = self.products.get(precision, self.products["float32"]) * own
        return self.elementwise(work, own) / (self.fused if compiled else 1) + work.flops / products

    def making(self, work: Work, compiled: bool) -> float:
        """Seconds of making a program."""
        return self.fixed + self.each * work.operators if compiled else self.tracing * work.operators


PRODUCTS: Final = {"cpu": {"float32": 1.7e11}, "cuda": {"float32": 3e13, "tf32": 7e13, "bfloat16": 1.5e14}}

RATES: Final = {
    "cpu": Rates(2.0e10, 4e-6, PRODUCTS["cpu"], fused=2.0, fixed=3.0, each=0.03, tracing=0.002),
    "cuda": Rates(2.3e12, 2.5e-6, PRODUCTS["cuda"], fused=8.0, fixed=10.0, each=0.04, tracing=0.004),
}
"""Rates of two cores of an AMD EPYC, and of one H200. They are constants, not measured at run time: a compiled program
rounds differently, and whether one is compiled must not depend on how busy a machine is."""

AGAIN = 0.01
"""The share of the cost of compiling that a program costs which was compiled before, in memory or on disk."""

MARGIN = 2.0
"""Making a program must save this many times what it costs, since a run may end early."""


def worthwhile(work: Work, steps: int, device: str, threads: int = 1, repeats: int = 1) -> bool:
    """Whether compiling saves more time than it takes, over so many steps in each of so many trainings."""
    rates = RATES[device]
    saved = rates.elementwise(work, threads if device == "cpu" else 1) * (1 - 1 / rates.fused)
    return repeats * steps * saved > MARGIN * _all_making(rates.making(work, compiled=True), repeats)


def worth_shrinking(
    work: Work,
    share: float,
    steps: int,
    device: str,
    threads: int = 1,
    repeats: int = 1,
    precision: str = "float32",
    compiled: bool = True,
) -> bool:
    """Whether replacing a program by one for a share of its replicas saves time.

    The new program may be compiled if the present one is. On a GPU all replicas, compiled, often take less time than
    half of them uncompiled. Looks are left out: smaller ones run faster, but are another program to make.
    """
    rates, own = RATES[device], threads if device == "cpu" else 1
    now, fewer = rates.seconds(work, compiled, own, precision), work.of_fewer(share)
    return any(
        repeats * steps * (now - rates.seconds(fewer, made, own, precision))
        > MARGIN * _all_making(rates.making(fewer, made), repeats)
        for made in {compiled, False}
    )


def _all_making(once: float, repeats: int) -> float:
    return once * (1 + AGAIN * (repeats - 1))


class Compiler:
    """Compiles programs and reports it.

    :param device: the kind of device.
    :param announce: is called with a message when compiling begins, and with "" when it ends.
    :param repeats: trainings that run the same programs one after another.
    :param precision: of the products.
    :param keeps: write programs to disk, so that later processes neither trace nor compile them.
    :ivar seconds: spent on making programs, compiled or not.
    :ivar sharers: groups of a training that each run the program made next equally often.
    """

    broken: ClassVar[str | None] = None
    """The tools that are missing on this machine, if any: compiling is not tried again in this process."""
    loaded: ClassVar[dict[str, tuple[program_cache.Program, Work]]] = {}
    """Programs on disk that this process loaded or made, by name."""
    known: ClassVar[dict[tuple[GraphModule, int], Callable[..., Any] | str]] = {}
    """For traces that this process compiled, and the number of threads: the program, or why there is none."""

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
        self.sharers = 1
        self.notice: str | None = None
        keep_programs()

    def wanted(self, work: Work, times: int) -> bool:
        """Whether a program that runs so many times in each training is worth compiling."""
        return worthwhile(work, times, self.device, torch.get_num_threads(), self.repeats * self.sharers)

    def worth_replacing(self, work: Work, share: float, times: int, compiled: bool) -> bool:
        """Whether a program with so many runs to come should be replaced by one for a share of its replicas."""
        threads = torch.get_num_threads()
        return worth_shrinking(work, share, times, self.device, threads, self.repeats, self.precision, compiled)

    @contextmanager
    def making(self) -> Iterator[None]:
        """Count the seconds of a block. Blocks must not be nested."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start

    def name(self, key: Hashable, arguments: Any) -> str | None:
        """The name of a program of such arguments on disk; None where programs are not kept."""
        return program_cache.name_of(key, arguments) if self.keeps else None

    def ready(
        self, name: str | None, times: int, arguments: Callable[[], tuple[Any, ...]]
    ) -> tuple[program_cache.Program, Work] | None:
        """A compiled program that this or an earlier process has kept, and its work, if it is worth loading.

        :param times: how often it runs in each training.
        :param arguments: makes arguments for a first call, which may overwrite them.
        """
        if name is None:
            return None
        if found := recall(Compiler.loaded, name):
            return found if self.wanted(found[1], times) else None
        known = program_cache.find(name)
        if known is None:
            return None
        try:
            work = Work(**known)
            if not self.wanted(work, times):
                return None
            given = arguments()
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                program = program_cache.load(name, given)
                program(*given)
        except Exception as error:  # an incomplete file, or one of another PyTorch
            if out_of_memory(error):
                raise
            return None
        remember(Compiler.loaded, name, (program, work))
        return program, work

    def __call__(
        self, function: GraphModule, *arguments: Any, name: str | None = None, work: Work | None = None
    ) -> Callable[..., Any] | None:
        """The trace, compiled and called once with the arguments; None where that fails.

        A trace that this process compiled before is not called again.

        :param name: under which to keep it on disk, with its work.
        """
        key = function, torch.get_num_threads()
        if found := recall(Compiler.known, key):
            return self._program(found)
        if Compiler.broken:
            return self._program(Compiler.broken)
        compiled: program_cache.Program | str
        self.announce("compiling")
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                fuse_mix()
                program = aligned(function) if self.device == "cuda" else function
                made = self._keep(program, arguments, name, work) if name and work else None
                if made is None:
                    made = torch.compile(program, fullgraph=True, dynamic=False, options=OPTIONS[self.device])
                    made(*arguments)
                compiled = made
        except Exception as error:  # a C++ compiler, Triton or headers may be missing
            if out_of_memory(error):
                raise
            compiled = f"Nothing is compiled here, which costs time alone: {_reason(error)}"
            if _of_the_machine(error):
                Compiler.broken = compiled
        finally:
            self.announce("")
        remember(Compiler.known, key, compiled)
        return self._program(compiled)

    def _program(self, found: program_cache.Program | str) -> program_cache.Program | None:
        """A program, or None with a notice of why there is none."""
        if isinstance(found, str):
            self.notice = found
            return None
        return found

    def _keep(
        self, program: GraphModule, arguments: tuple[Any, ...], name: str, work: Work
    ) -> program_cache.Program | None:
        """Compile and keep on disk; None where this PyTorch cannot, so that it is compiled for this process only."""
        try:
            artifact, compiled = program_cache.make(program, arguments, OPTIONS[self.device])
            compiled(*arguments)
        except Exception as error:
            if out_of_memory(error) or _of_the_machine(error):
                raise
            return None
        program_cache.keep(name, artifact, asdict(work))
        remember(Compiler.loaded, name, (compiled, work))
        return compiled


def _of_the_machine(error: Exception) -> bool:
    """Whether nothing else can be compiled either: tools are missing, or files cannot be written."""
    return isinstance(_inner(error), OSError) or any(word in str(error) for word in TOOLS)


def _inner(error: Exception) -> BaseException:
    """What PyTorch wraps. An error that was given words of its own keeps them."""
    if isinstance(error, ImportError):
        return error
    inner: BaseException = getattr(error, "inner_exception", None) or error.__cause__ or error
    return inner


def _reason(error: Exception) -> str:
    """The first line of the message, or the last where the first ends with a colon. Lines of advice are skipped."""
    inner = _inner(error)
    lines = [line.strip() for line in str(inner).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(ADVICE)]
    if not said:
        return type(inner).__name__
    return f"{type(inner).__name__}: {(said[-1] if said[0].endswith(':') else said[0])[:120]}"
