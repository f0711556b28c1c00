"""Chains of parts: one rule, filters in front of it, constraints behind it."""

from collections.abc import Sequence
from typing import Any

from learners._nets.modules import Network
from learners.optim._core import Transformation, chain, scoped
from learners.optim._part import Part

ORDER = ("filter", "rule", "constraint")


def part_name(part: Part) -> str:
    """A part's name in nested parameters, ``optimizer__NAME__lr``: that of its module, as plugins are named.

    Of a class that its module is not named after, the class's name in lower case.
    """
    module, name = type(part).__module__.rpartition(".")[2], type(part).__name__.lower()
    return module if module.replace("_", "") == name else name


def check_chain(parts: Sequence[Any], learner: Any) -> None:
    """Raise ValueError unless the parts make a chain that can act on a learner."""
    owner = type(learner).__name__
    for part in parts:
        if not isinstance(part, Part):
            raise ValueError(f"The 'optimizer' parameter of {owner} takes parts of optimizers, got {part!r}.")  # noqa: TRY004
    check_order([(part_name(part), part.kind) for part in parts])
    for part in parts:
        part.check()
        if fault := part.fault(learner):
            raise ValueError(fault)


def check_order(parts: Sequence[tuple[str, str]]) -> None:
    """Raise ValueError unless there is one rule, with filters in front and constraints behind, each part once.

    :param parts: the name and the kind of each.
    """
    names = [name.replace("_", "-") for name, _ in parts]
    shown = "+".join(names) or "nothing"
    rules = [name for name, (_, kind) in zip(names, parts, strict=True) if kind == "rule"]
    if len(rules) != 1:
        which = "none" if not rules else " and ".join(rules)
        raise ValueError(f"An optimizer has one rule, got {which} in {shown}.")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"An optimizer has each part once, got {shown}.")
    rule = names.index(rules[0])
    for place, (name, (_, kind)) in enumerate(zip(names, parts, strict=True)):
        if kind == "filter" and place > rule:
            raise ValueError(f"{name} is a filter, which stands in front of the rule, got {shown}.")
        if kind == "constraint" and place < rule:
            raise ValueError(f"{name} is a constraint, which stands behind the rule, got {shown}.")


def transformation_of(parts: Sequence[Part], network: Network) -> Transformation:
    """All parts as one transformation; hyperparameters begin with the number of their part and a dot."""
    return chain(*(scoped(f"{i}.", part.transformation(network)) for i, part in enumerate(parts)))


def hyper_of(parts: Sequence[Part]) -> dict[str, float]:
    """The numbers of all parts, by the names that `transformation_of` uses."""
    return {f"{i}.{name}": number for i, part in enumerate(parts) for name, number in part.hyper().items()}
