"""Data as a page carries them: each value once, numbers as short as they are meant, all of it compressed."""

import base64
import gzip
import json
import math
from collections.abc import Hashable, Sequence
from typing import Any

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
    """A value of JSON, compressed, in letters that mean nothing in HTML: the same text for the same value.

    >>> unpacked(packed({"</script>": None}))
    {'</script>': None}
    """
    return packed_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


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


def ten_thousandths(accuracies: Sequence[float]) -> list[int | None]:
    """Accuracies in steps of 0.01 %; only exact ones are 0 or 10,000, and what is not a number is None.

    >>> ten_thousandths([0.0, 0.00001, 0.12345, 0.99999, 1.0, float("nan")])
    [0, 1, 1234, 9999, 10000, None]
    """
    return [None if math.isnan(a) else round(10_000 * a) if a in (0, 1) else _inside(a) for a in accuracies]


def _inside(accuracy: float) -> int:
    return min(9_999, max(1, round(10_000 * accuracy)))
