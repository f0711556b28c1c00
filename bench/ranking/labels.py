"""Names of rows, short enough for a table or a picture."""

import re
from collections import Counter
from collections.abc import Iterable

from bench.results import four_digits

NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])")
MOST_DIGITS = 6
"""Numbers in labels with more significant digits than this are shortened."""


def short_labels(labels: Iterable[str]) -> dict[str, str]:
    """Short labels by their labels; those that would look the same are left as they are."""
    short = {label: short_label(label) for label in labels}
    counts = Counter(short.values())
    return {label: shown if counts[shown] == 1 else label for label, shown in short.items()}


def short_label(label: str) -> str:
    """A label with four significant digits of its long numbers; integers are left as they are.

    >>> short_label("onehot+concat → mlp(lr=0.020961900543150613, betas=[0.9, 0.98], seed=12345678)")
    'onehot+concat → mlp(lr=0.02096, betas=[0.9, 0.98], seed=12345678)'
    """

    def shortened(found: re.Match[str]) -> str:
        mantissa = found[0].partition("e")[0].replace(".", "").lstrip("0")
        short = found[0].isdigit() or len(mantissa) <= MOST_DIGITS
        return found[0] if short else four_digits(float(found[0]))

    return NUMBER.sub(shortened, label)
