"""Estimates of how long programs run, and whether compiling another one pays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from learners._fleet.trace import Work


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
