"""Values of parameters as JSON has them and as constructors take them."""

from typing import Any

LARGEST_SEED = 2**31 - 1
MOST_SEEDS = 1_000_000
"""The largest number of seeds of one request."""
MOST_STEPS = 2**53
"""The largest budget: up to here, integers are exact in floats and in JSON."""


def listed(value: Any) -> Any:
    """The value with lists in place of tuples, as JSON has it."""
    return [listed(v) for v in value] if isinstance(value, tuple | list) else value


def tupled(value: Any) -> Any:
    """The value with tuples in place of lists, as constructors take it."""
    return tuple(map(tupled, value)) if isinstance(value, list) else value
