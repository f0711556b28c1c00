"""The numbers of one column as they are encoded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Admitted:
    """The numbers of one column as they are encoded: all have a code, and some of these are not written.

    :param encoder: the column's encoder.
    :param values: numbers that have a code, (N,).
    :param absent: which of them stand for a number without a code, which is written as zeros, (N,); None for none.
    :param missing: which of those are missing in the data, (N,); None for none.
    """

    encoder: Any
    values: NDArray[np.float64]
    absent: Mask | None
    missing: Mask | None

    def rows(self, start: int, stop: int) -> "Admitted":
        """Some of the rows."""
        absent, missing = (mask if mask is None else mask[start:stop] for mask in (self.absent, self.missing))
        return Admitted(self.encoder, self.values[start:stop], absent, missing)
