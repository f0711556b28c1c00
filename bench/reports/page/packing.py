"""Data as a page carries them: each value once, numbers as short as they are meant, all of it compressed."""

import base64
import gzip
import json
import math
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDED = 6
"""Significant digits of numbers in a page."""


class Shared:
    """Values that many rows have in common, each stored once.

    >>> shared = Shared()
    >>> [shared.place({"device": device}) for device in ("cpu", "cuda", "cpu")], shared.values
    ([0, 1, 0], [{'device': 'cpu'}, {'device': 'cuda'}])
    """

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[Hashable, int] = {}

    def place(self, value: Any) -> int:
        """The place of a value of JSON in `values`, at the end of which it is put if it is new."""
        place = self._places.setdefault(json.dumps(value, sort_keys=True), len(self.values))
        if place == len(self.values):
            self.values.append(value)
        return place


def packed(value: Any) -> str:
    r"""A value of JSON, compressed, in letters that mean nothing in HTML: the same text for the same value.

    >>> unpacked(packed({"</script>": None, "half a letter": "\ud800"}))
    {'</script>': None, 'half a letter': '\ud800'}
    """
    return packed_text(json.dumps(value, separators=(",", ":"), allow_nan=False))


def packed_text(text: str) -> str:
    """A text, likewise."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def unpacked(text: str) -> Any:
    """The inverse of `packed`."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def short(value: Any) -> Any:
    """A number with six significant digits; None where it is not finite. Other values are left as they are.

    >>> short(0.123456789), short(float("nan")), short(12345678), short("a")
    (0.123457, None, 12345678, 'a')
    """
    if not isinstance(value, float):
        return value
    return float(f"{value:.{ROUNDED}g}") if math.isfinite(value) else None


def all_finite(value: Any) -> Any:
    """A value of JSON with None in place of numbers that are not finite, and lists in place of tuples."""
    if isinstance(value, dict):
        return {key: all_finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [all_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def ten_thousandths(accuracies_T: NDArray[np.float64]) -> list[int | None]:
    """Accuracies in steps of 0.01 %; only exact ones are 0 or 10,000, and what is not a number is None.

    >>> ten_thousandths(np.array([0.0, 0.00001, 0.1234, 0.99999, 1.0, np.nan]))
    [0, 1, 1234, 9999, 10000, None]
    """
    unknown_T = np.isnan(accuracies_T)
    rounded_T = np.rint(10_000 * np.where(unknown_T, 0.0, accuracies_T)).astype(np.int64)
    exact_T = unknown_T | (accuracies_T == 0) | (accuracies_T == 1)
    found: list[int | None] = np.where(exact_T, rounded_T, rounded_T.clip(1, 9_999)).tolist()
    for place in np.flatnonzero(unknown_T).tolist():
        found[place] = None
    return found
