"""How fast programs run, and whether another one is worth compiling."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from learners._fleet.trace import Work

__all__ = ["worth_shrinking", "worthwhile"]


@dataclass(frozen=True)
class Rates:
    """Measured rates of a device.

    :param bandwidth: bytes a second of elementwise work, of one thread or one GPU.
    :param launch: seconds that an operator costs by itself.
    :param products: FLOPs a second of products in a fleet, of one thread or one GPU, by precision.
    :param fused: how many times fewer bytes and operators a compiled program has.
    :param fixed: seconds that compiling takes, and
    :param each: for each operator.
    :param tracing: seconds that a program takes to make that is not compiled, for each operator.
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
        """What running a program once takes."""
        products = self.products.get(precision, self.products["float32"]) * own
        return self.elementwise(work, own) / (self.fused if compiled else 1) + work.flops / products

    def making(self, work: Work, compiled: bool) -> float:
        """What making a program takes."""
        return self.fixed + self.each * work.operators if compiled else self.tracing * work.operators


PRODUCTS: Final = {"cpu": {"float32": 1.7e11}, "cuda": {"float32": 3e13, "tf32": 7e13, "bfloat16": 1.5e14}}


RATES: Final = {
    "cpu": Rates(2.0e10, 4e-6, PRODUCTS["cpu"], fused=2.0, fixed=3.0, each=0.03, tracing=0.002),
    "cuda": Rates(2.3e12, 2.5e-6, PRODUCTS["cuda"], fused=8.0, fixed=10.0, each=0.04, tracing=0.004),
}
"""Two cores of an AMD EPYC, and one H200. The choice must not depend on how busy a machine is, since a compiled program
rounds differently: it is made by counting, from these."""


AGAIN = 0.01
"""The share of the cost for a program that was compiled before: it is remembered, or read from the cache."""


MARGIN = 2.0
"""A run may end early: making a program must save this many times what it costs."""


def worthwhile(work: Work, steps: int, device: str, threads: int = 1, repeats: int = 1) -> bool:
    """Whether compiling repays itself within so many steps, in so many trainings one after another."""
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
    """Whether a program should give way to one for a share of its replicas, compiled at most if it is so itself.

    On a GPU all of them, compiled, often take less time than half of them uncompiled. Looks are left out: smaller ones
    take less, and are one more program to make.
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
